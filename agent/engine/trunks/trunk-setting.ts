import type { Clock } from "../../base/clock.ts";
import type { CarrierProfile } from "../../base/config/schema.ts";
import type { Log } from "../../base/log.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { Protocol } from "../../sip/transport/flow.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";

/** What a trunk is, from the site file. */
export interface TrunkSetting {
  readonly id: string;
  readonly kind: "pbx" | "trunk";
  readonly roles: readonly ("emergency" | "main_number")[];
  readonly domain: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly transport: Protocol | "auto";
  readonly local_port: number;
  readonly tls: string;
  readonly listens_tls: boolean;
  readonly offers_tls: boolean;
  readonly profile: CarrierProfile;
  /** The box as a UA, for registrars: a URN. */
  readonly instance: string;
  readonly registration:
    | { readonly aor: string; readonly username: string; readonly password: string; readonly expires_s: number }
    | undefined;
  readonly first_response_p99_ms: number | undefined;
}

export interface TrunkPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportLayer;
  readonly transactions: TransactionLayer;
  readonly random: () => number;
}
