import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";
import type { OwnUris } from "../own-uris.ts";
import type { BindingStore } from "../registrar/binding-store.ts";
import type { Trunk, Trunks } from "../trunks/trunk.ts";
import type { CallMover } from "./moving/call-mover.ts";
import type { Rung } from "./moving/move-machine.ts";
import type { ProxiedDialogs } from "./moving/proxied-dialogs.ts";
import type { ProxyForks } from "./proxy-forks.ts";
import type { MediaParties, ProxyMedia } from "./proxy-media.ts";

/** Who is at one end of a passage through the box. */
export type Party =
  | { readonly kind: "phone"; readonly flow: Flow }
  | { readonly kind: "trunk"; readonly trunk: Trunk; readonly flow: Flow };

/** Where a branch goes; `uri` replaces the Request-URI. */
export interface Target {
  readonly party: Party;
  readonly uri?: string;
}

/** Hears of the calls that pass, by leg, for status and records. */
export interface PassageWatcher {
  started(leg: string, request: SipRequest, from: Party, to: Party): void;
  ringing(leg: string): void;
  answered(leg: string): void;
  /** It was asked for credentials; the call comes again as another leg. */
  challenged(leg: string): void;
  /** Its media goes over another trunk's path now; `took_ms`: since the verdict on the old one. */
  moved(leg: string, to: Trunk, by: Rung, took_ms: number): void;
  /** `by`: whose request ended it. */
  ended(leg: string, by: Party, cause: string): void;
}

export interface ProxyContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly transactions: TransactionLayer;
  readonly transport: TransportLayer;
  readonly own: OwnUris;
  readonly trunks: Trunks;
  readonly store: BindingStore;
  readonly media: ProxyMedia;
  readonly forks: ProxyForks;
  readonly dialogs: ProxiedDialogs;
  readonly mover: CallMover;
  readonly watcher: PassageWatcher;
}

/** The two parties of anchored media, or undefined when both ends are phones of the LAN: those speak directly. */
export function mediaParties(a: Party, b: Party): MediaParties | undefined {
  const phone = a.kind === "phone" ? a : b.kind === "phone" ? b : undefined;
  const trunk = a.kind === "trunk" ? a : b.kind === "trunk" ? b : undefined;
  if (phone === undefined || trunk === undefined) return undefined;
  return {
    phone: { local_address: phone.flow.local.address, signalling_address: phone.flow.remote.address },
    trunk: {
      local_address: trunk.trunk.local.address,
      signalling_address: trunk.flow.remote.address,
      path: trunk.trunk.path.id,
    },
  };
}

/** The phone behind a binding. */
export function phoneParty(
  transport: TransportLayer,
  binding: {
    readonly transport: Flow["protocol"];
    readonly source_address: string;
    readonly source_port: number;
    readonly local_address: string;
    readonly local_port: number;
  },
): Party {
  const flow = transport.flowTo({
    protocol: binding.transport,
    address: binding.source_address,
    port: binding.source_port,
    local_address: binding.local_address,
    local_port: binding.local_port,
  });
  return { kind: "phone", flow };
}

export function isDown({ health, path }: Trunk): boolean {
  return health.state === "down" || path.health.state === "down";
}

/** Its probes are not answered either, though the verdict is not yet final. */
export function isSuspect({ health, path }: Trunk): boolean {
  return health.state === "suspect" || path.health.state === "suspect";
}
