import { networkInterfaces } from "node:os";

export interface AttachedLan {
  readonly address: string;
  /** `network/prefix length`. */
  readonly subnet: string;
}

/** IPv4 networks that this machine is attached to: phones of the LAN are in one of them. */
export function attachedLans(): AttachedLan[] {
  return Object.values(networkInterfaces()).flatMap((entries) =>
    (entries ?? []).flatMap(({ internal, family, address, cidr }) =>
      internal || family !== "IPv4" || cidr === null ? [] : [{ address, subnet: cidr }],
    ),
  );
}
