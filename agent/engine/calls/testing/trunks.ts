/** Paths and trunks that are what a test says they are. */
import type { CarrierProfile } from "../../../base/config/schema.ts";
import type { HealthState } from "../../../base/events.ts";
import type { Flow, Protocol } from "../../../sip/transport/flow.ts";
import type { TransportLayer } from "../../../sip/transport/transport.ts";
import type { Path } from "../../paths/path.ts";
import type { Located, PeerName } from "../../paths/resolver.ts";
import type { Trunk, TrunkObservation } from "../../trunks/trunk.ts";

export class TestPath implements Path {
  readonly id: string;
  readonly kind: Path["kind"];
  state: HealthState = "up";
  localAddress: string | undefined;
  rtt_ms: number | undefined = 10;
  loss_percent = 0;
  suspicions = 0;
  constructor(id: string, kind: Path["kind"], localAddress: string) {
    this.id = id;
    this.kind = kind;
    this.localAddress = localAddress;
  }
  get health() {
    return { state: this.state, since_ms: 0, evidence: [] };
  }
  known({ host, port = 5060, transport = "udp" }: PeerName): Located {
    return { hops: [{ address: host, port, transport, server_name: host }], stale_since_wall: undefined };
  }
  async locate(sought: PeerName): Promise<Located> {
    return this.known(sought);
  }
  suspect() {
    this.suspicions++;
  }
}

const PROFILE: CarrierProfile = {
  id: "value",
  request_uri: "sip:{number}@{host}",
  caller_identity: "from_and_pai",
  location: "value",
  geolocation_routing: true,
  ring_deadline_ms: 10000,
};

export interface TestTrunkParts {
  readonly id: string;
  readonly kind?: Trunk["kind"];
  readonly path: TestPath;
  readonly roles?: Trunk["roles"];
  readonly remote: string;
  /** 0 over TCP: any port. */
  readonly local_port: number;
  readonly protocol?: Protocol;
  readonly profile?: Partial<CarrierProfile>;
  readonly credentials?: { readonly username: string; readonly password: string };
}

export class TestTrunk implements Trunk {
  readonly id: string;
  readonly kind: Trunk["kind"];
  readonly path: TestPath;
  readonly roles: Trunk["roles"];
  readonly domain: string;
  readonly profile: CarrierProfile;
  readonly registration = undefined;
  readonly credentials: Trunk["credentials"];
  readonly local: { readonly address: string; readonly port: number };
  readonly observations: TrunkObservation[] = [];
  readonly #parts: TestTrunkParts;
  readonly #transport: TransportLayer;
  state: HealthState = "up";
  first_response_p99_ms: number | undefined;
  /** No way out: as when the path has no address. */
  unreachable = false;
  lastResort: Flow | undefined;

  constructor(parts: TestTrunkParts, transport: TransportLayer) {
    this.#parts = parts;
    this.#transport = transport;
    this.id = parts.id;
    this.kind = parts.kind ?? "trunk";
    this.path = parts.path;
    this.roles = parts.roles ?? ["emergency", "main_number"];
    this.domain = this.kind === "pbx" ? "pbx.example" : parts.remote;
    this.profile = { ...PROFILE, ...parts.profile };
    this.credentials = parts.credentials;
    this.local = { address: parts.path.localAddress ?? "", port: parts.local_port };
  }
  get health() {
    return { state: this.state, since_ms: 0, evidence: [] };
  }
  get flow(): Flow | undefined {
    if (this.unreachable) return undefined;
    const { remote, protocol = "udp" } = this.#parts;
    return this.#transport.flowTo({
      protocol,
      address: remote,
      port: 5060,
      local_address: this.local.address,
      ...(this.local.port === 0 ? {} : { local_port: this.local.port }),
    });
  }
  contact(user: string): string {
    const { protocol = "udp" } = this.#parts;
    return `sip:${user}@${this.local.address}:${this.local.port}${protocol === "udp" ? "" : `;transport=${protocol}`}`;
  }
  /** Further servers of the trunk, asked in turn. */
  readonly further: Flow[] = [];

  alternative(tried: readonly Flow[]): Flow | undefined {
    return this.further.find((flow) => !tried.includes(flow));
  }

  towards(): Flow | undefined {
    return undefined;
  }

  observe(observation: TrunkObservation): void {
    this.observations.push(observation);
  }
}
