import { networkInterfaces } from "node:os";

export interface AttachedLan {
  readonly address: string;
  /** `network/prefix length`. */
  readonly subnet: string;
}

const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|169\.254\.)/;

/** IPv4 networks that this machine is attached to and that are private: phones of the LAN are in one of them. */
export function attachedLans(): AttachedLan[] {
  return Object.values(networkInterfaces()).flatMap((entries) =>
    (entries ?? []).flatMap(({ internal, family, address, cidr }) =>
      internal || family !== "IPv4" || cidr === null || !PRIVATE.test(address) ? [] : [{ address, subnet: cidr }],
    ),
  );
}
