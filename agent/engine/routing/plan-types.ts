import type { Mode } from "../../base/events.ts";

/** What is being asked, as the dispatcher understood it. */
export interface CallRequest {
  /** Digits as dialled, after unescaping; empty when the target is not a number. */
  readonly dialled: string;
  /** User part of the Request-URI. */
  readonly user: string;
  readonly from:
    | { readonly side: "lan"; readonly extension: string | undefined }
    | { readonly side: "trunk"; readonly trunk: string };
}

/** What the plan may look at. Plain data, so that planning is a pure function. */
export interface RoutingView {
  readonly mode: Mode;
  readonly trunks: readonly {
    readonly id: string;
    readonly kind: "pbx" | "trunk";
    readonly roles: readonly ("emergency" | "main_number")[];
    readonly state: "up" | "degraded" | "suspect" | "down" | "unknown";
    readonly path: {
      readonly id: string;
      readonly kind: "wan" | "lte" | "modem";
      readonly state: "up" | "degraded" | "suspect" | "down" | "unknown";
      /** SIP passes and sound does not. */
      readonly dead_media?: boolean | undefined;
    };
  }[];
}

/** One ordered, conditional step. `last_resort` steps run only when nothing else answered. */
export type RouteStep =
  /** Pass to the cloud PBX; the dialog stays the peers' own. */
  | { readonly kind: "proxy_to_pbx"; readonly trunk: string }
  /** Ring an extension's registered contacts directly. */
  | { readonly kind: "ring_extension"; readonly extension: string }
  | { readonly kind: "ring_main_group"; readonly extensions: readonly string[] }
  /** A call of ours on a trunk. */
  | { readonly kind: "trunk"; readonly trunk: string; readonly number: string; readonly last_resort: boolean }
  | {
      readonly kind: "reject";
      readonly status: number;
      readonly reason: string;
      readonly announcement: string | undefined;
    };

export interface RoutePlan {
  readonly kind: "emergency" | "internal" | "outbound" | "inbound" | "rejected";
  readonly steps: readonly RouteStep[];
  /** One sentence for log and page: why this way. */
  readonly because: string;
}
