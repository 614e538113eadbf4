import type { CarrierProfile } from "../../base/config/schema.ts";
import type { HopFailure } from "../../sip/locating/hop-list.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { Health, Path } from "../paths/path.ts";

/** What a call tells about a trunk in passing, so that health rests on more than probes. */
export type TrunkObservation =
  | { readonly kind: "first_response"; readonly method: string; readonly after_ms: number; readonly status: number }
  | { readonly kind: "no_response"; readonly method: string }
  | { readonly kind: "send_error"; readonly detail: string };

/** A SIP peer reached over one path: a cloud PBX target or a trunk. */
export interface Trunk {
  readonly id: string;
  readonly kind: "pbx" | "trunk";
  readonly path: Path;
  readonly roles: readonly ("emergency" | "main_number")[];
  /** Domain for Request-URI and To (the PBX's SIP domain, the trunk's host). */
  readonly domain: string;
  readonly profile: CarrierProfile;
  readonly health: Health;
  /** The flow requests go out on: the standing TCP/TLS connection or the bound UDP socket; undefined before the first address is known. */
  readonly flow: Flow | undefined;
  /** Beside a UDP flow: the connection for requests that are too large for a datagram, while one stands (RFC 3261 §18.1.1). */
  readonly stream?: Flow | undefined;
  /**
   * For a 911 call alone: a connection to a peer whose certificate proves all that it must but that it is valid today.
   * Undefined where that is not what is wrong.
   */
  readonly lastResort?: Flow | undefined;
  /** Address of record the box registers there, where it does: identity for main-number calls. */
  readonly registration: { readonly aor: string; readonly registered: boolean } | undefined;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  /** p99 of INVITE→first response, once learned (≥ 20 samples), ms. */
  readonly first_response_p99_ms: number | undefined;
  /** Contact URI of ours for dialogs on this trunk; `user` is a token of the caller's choosing. */
  contact(user: string): string;
  /** Host:port of ours on this trunk's side, for Via, Record-Route and Path. */
  readonly local: { readonly address: string; readonly port: number };
  observe(observation: TrunkObservation): void;
  /**
   * Where to repeat a request that failed on the last of the flows `tried`, when the name has further servers (RFC 3263
   * §4.3).
   */
  alternative(tried: readonly Flow[], failure: HopFailure): Flow | undefined;
  /** The flow to that server of the trunk which has this address, when it is another one than the one in use. */
  towards(address: string): Flow | undefined;
}

export interface Trunks {
  /** Detours too. */
  get(id: string): Trunk | undefined;
  /** PBX targets and trunks in configured order. */
  all(): readonly Trunk[];
  /**
   * PBX targets for new work, the one in use first; those that are down are left out. Going back to a preferred one waits
   * for the hold-down and the site's policy.
   */
  pbxs(): readonly Trunk[];
  /** The same peer over another path, for calls that are up when the trunk's own path dies; undefined where there is none. */
  detour(id: string): Trunk | undefined;
  /** Which trunk a request came from, by the local socket it arrived on and its source; undefined for a stranger. */
  of(flow: Flow): Trunk | undefined;
  onChange(listener: (trunk: Trunk) => void): void;
}
