import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AlarmBoard } from "../../../base/alarms.ts";
import type { CarrierProfile, SiteConfig } from "../../../base/config/schema.ts";
import { createEventFactory, type HealthState, type HoldfastEvent, type Mode } from "../../../base/events.ts";
import { token } from "../../../base/ids.ts";
import { silentLog } from "../../../base/log.ts";
import { ManualClock } from "../../../base/manual-clock.ts";
import type { Binding } from "../../../base/snapshot.ts";
import type { EndpointInfo, Relay } from "../../../media/relay.ts";
import { type Dialog, fromUac, fromUas, newAck, newRequest } from "../../../sip/dialogs/dialog.ts";
import { buildRequest, buildResponse, type ResponseParts } from "../../../sip/messages/build.ts";
import { cseqOf } from "../../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../../sip/messages/message.ts";
import { tagOf } from "../../../sip/messages/name-addr.ts";
import { sdpOf } from "../../../sip/messages/sdp.ts";
import type { ClientTransaction } from "../../../sip/transactions/client-transaction.ts";
import { TransactionLayer } from "../../../sip/transactions/layer.ts";
import type { ServerTransaction } from "../../../sip/transactions/server-transaction.ts";
import type { Flow, Protocol } from "../../../sip/transport/flow.ts";
import { MemoryNetwork } from "../../../sip/transport/memory-network.ts";
import type { TransportLayer } from "../../../sip/transport/transport.ts";
import { classify } from "../../emergency/classify.ts";
import type { Path } from "../../paths/path.ts";
import { plan } from "../../routing/plan.ts";
import { routingView } from "../../routing/view.ts";
import type { Trunk, TrunkObservation } from "../../trunks/trunk.ts";
import { Calls, type CallsContext } from "../calls.ts";

/** A box, its phones and its trunks in memory, for tests of calls: everything but the calls is played. */

export const BOX_LAN = "10.20.0.5";
export const BOX_LTE = "10.50.0.5";
export const PHONE = "10.20.0.101";
export const PHONE_2 = "10.20.0.102";
export const PBX = "10.40.0.10";
export const DIRECT = "10.40.0.20";
export const LTE = "10.60.0.10";

export const phoneSdp = (address = PHONE, formats = "0 8 101") =>
  [
    "v=0",
    `o=- 1 1 IN IP4 ${address}`,
    "s=-",
    `c=IN IP4 ${address}`,
    "t=0 0",
    `m=audio 4000 RTP/AVP ${formats}`,
    "a=sendrecv",
    "",
  ].join("\r\n");

const civic = { country: "US", A1: "CO", A3: "Denver", RD: "Colfax", STS: "Avenue", HNO: "1776", PC: "80203" };

export function siteConfig(change: Partial<SiteConfig> = {}): SiteConfig {
  return {
    v: 1,
    live: false,
    org: { id: "acme", name: "Acme" },
    site: {
      id: "denver",
      name: "Denver",
      time_zone: "UTC",
      location: "front",
      main_number: "+13035550100",
      main_group: ["ext-101", "ext-102"],
      country_code: "1",
    },
    box: { id: "box-1", layout: "one_armed", sip_names: [] },
    lans: [{ id: "voice", address: BOX_LAN, subnets: ["10.20.0.0/24"], sip_port: 5060 }],
    paths: [],
    pbx_targets: [
      {
        id: "cloud",
        path: "wan",
        domain: "pbx.example",
        host: PBX,
        port: 5060,
        transport: "udp",
        path_header: true,
        carries_emergency: true,
      },
    ],
    trunks: [],
    carrier_profiles: [],
    emergency: {
      numbers: [
        { digits: "911", class: "sos" },
        { digits: "933", class: "test" },
      ],
      outside_prefixes: ["9"],
      routes: [],
      callback_window_min: 60,
    },
    extensions: [
      {
        id: "ext-101",
        number: "101",
        name: "Front desk",
        username: "101",
        ha1_md5: "0".repeat(32),
        location: "front",
      },
      { id: "ext-102", number: "102", name: "Room 2", username: "102", location: "room-2" },
    ],
    devices: [],
    dids: [{ id: "did-102", number: "+13035550102", extension: "ext-102" }],
    locations: [
      { id: "front", version: 1, label: "Front desk", civic: { ...civic, FLR: "1" } },
      { id: "room-2", version: 3, label: "Room 2", civic: { ...civic, FLR: "2", ROOM: "2" } },
    ],
    people: [],
    failover: { hold_down_ms: 30000, hold_down_max_ms: 600000, return_when: "stable", return_at: "02:30" },
    media: { port_min: 20000, port_max: 21999 },
    noc: { brokers: [], acknowledge: "application", heartbeat_wan_ms: 30000, heartbeat_lte_ms: 300000 },
    modems: [],
    ups: [],
    gpio_lines: [],
    web: { port: 8080 },
    drill: { max_ms: 1800000 },
    ...change,
  };
}

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
  async resolve(host: string) {
    return [host];
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
  observe(observation: TrunkObservation): void {
    this.observations.push(observation);
  }
}

export class TestRelay implements Relay {
  connected = true;
  /** Never answers, as a process that hangs. */
  hangs = false;
  readonly log: string[] = [];
  readonly endpoints = new Map<string, { port: number; call_id: string; local_address: string }>();
  readonly silent = new Set<string>();
  #port = 20_000;

  async open(spec: { id: string; call_id: string; local_address: string }): Promise<{ port: number }> {
    if (this.hangs) return new Promise(() => {});
    const known = this.endpoints.get(spec.id);
    if (known !== undefined) return { port: known.port };
    const port = this.#port;
    this.#port += 2;
    this.endpoints.set(spec.id, { port, call_id: spec.call_id, local_address: spec.local_address });
    return { port };
  }
  async setPeer(id: string, peer: { address: string; port: number }): Promise<void> {
    this.log.push(`peer ${id} ${peer.address}:${peer.port}`);
  }
  async bridge(a: string, b: string): Promise<void> {
    this.log.push(`bridge ${a} ${b}`);
  }
  async unbridge(): Promise<void> {}
  async play(id: string, playback: { sound: { kind: string; name?: string } }): Promise<void> {
    this.log.push(`play ${id} ${playback.sound.name ?? playback.sound.kind}`);
  }
  async stop(): Promise<void> {}
  async close(id: string): Promise<void> {
    this.endpoints.delete(id);
  }
  async closeCall(call_id: string): Promise<void> {
    for (const [id, endpoint] of this.endpoints) if (endpoint.call_id === call_id) this.endpoints.delete(id);
  }
  async list(): Promise<readonly EndpointInfo[]> {
    return [...this.endpoints].map(([id, { port, call_id, local_address }]) => ({
      id,
      call_id,
      local_address,
      port,
      bridged_to: undefined,
      packets_in: 1,
      packets_out: 1,
      packets_dropped: 0,
      silent_ms: this.silent.has("*") ? undefined : 20,
    }));
  }
}

/** What a played trunk or phone does with an INVITE. */
export type Script = (call: PlayedCall) => void | Promise<void>;

/** One INVITE as a played peer has it. */
export class PlayedCall {
  readonly tx: ServerTransaction;
  readonly peer: Peer;
  readonly at_ms: number;
  cancelled = false;
  acked: SipRequest | undefined;
  acks = 0;
  bye: SipRequest | undefined;
  dialog: Dialog | undefined;
  readonly tag = token(5);

  constructor(tx: ServerTransaction, peer: Peer, at_ms: number) {
    this.tx = tx;
    this.peer = peer;
    this.at_ms = at_ms;
    tx.onCancel(() => {
      this.cancelled = true;
      if (!peer.ignoresCancel) this.respond(487);
    });
  }
  get request(): SipRequest {
    return this.tx.request;
  }
  get sdp(): string | undefined {
    return sdpOf(this.tx.request);
  }
  respond(status: number, parts: ResponseParts = {}, tag = this.tag): SipResponse {
    const headers: Header[] = [
      { name: "Contact", value: `<sip:peer@${this.peer.address}:5060>` },
      ...(parts.headers ?? []),
    ];
    const response = buildResponse(this.request, status, { toTag: tag, ...parts, headers });
    this.tx.respond(response);
    if (status >= 200 && status < 300 && this.dialog === undefined) this.dialog = fromUas(this.request, response);
    return response;
  }
  ring(): void {
    this.respond(180);
  }
  early(): void {
    this.respond(183, { body: phoneSdp(this.peer.address, "0 101"), contentType: "application/sdp" });
  }
  answer(tag = this.tag, formats = "0 101"): void {
    this.respond(200, { body: phoneSdp(this.peer.address, formats), contentType: "application/sdp" }, tag);
  }
  hangUp(): void {
    this.send("BYE");
  }
  send(method: string, parts: { body?: string; contentType?: string; headers?: Header[] } = {}): Promise<SipResponse> {
    if (this.dialog === undefined) throw new Error("no dialog");
    const next = newRequest(this.dialog, method, { contact: `<sip:peer@${this.peer.address}:5060>`, ...parts });
    this.dialog = next.dialog;
    return this.peer.request(next.request, this.tx.flow);
  }
}

/** A SIP peer on its own address: it records what comes and plays its script. */
export class Peer {
  readonly address: string;
  readonly layer: TransactionLayer;
  readonly transport: TransportLayer;
  readonly calls: PlayedCall[] = [];
  readonly inDialog: SipRequest[] = [];
  script: Script = (call) => call.answer();
  /** What a request within a dialog gets. */
  inDialogStatus = 200;
  ignoresCancel = false;
  readonly #clock: ManualClock;

  constructor(address: string, network: MemoryNetwork, clock: ManualClock) {
    this.address = address;
    this.#clock = clock;
    this.transport = network.transport();
    this.layer = new TransactionLayer({ transport: this.transport, clock });
    this.layer.onRequest((tx) => this.#take(tx));
    this.layer.onAck((ack) => {
      const call = this.calls.findLast(({ request }) => sameCall(request, ack));
      if (call === undefined) return;
      call.acked = ack;
      call.acks++;
    });
  }
  async listen(): Promise<void> {
    await this.transport.listen({ protocol: "udp", address: this.address, port: 5060 });
    await this.transport.listen({ protocol: "tcp", address: this.address, port: 5060 });
  }
  request(request: SipRequest, flow: Flow): Promise<SipResponse> {
    return new Promise((resolve) => {
      this.layer.request(request, flow, {
        onFinal: resolve,
        onTimeout: () => resolve(buildResponse(request, 408)),
        onTransportError: () => resolve(buildResponse(request, 503)),
      });
    });
  }
  get last(): PlayedCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error(`${this.address} got no INVITE`);
    return call;
  }
  #take(tx: ServerTransaction): void {
    const { request } = tx;
    if (request.method === "INVITE" && tagOf(request, "To") === undefined) {
      const call = new PlayedCall(tx, this, this.#clock.now());
      this.calls.push(call);
      void this.script(call);
      return;
    }
    this.inDialog.push(request);
    const call = this.calls.findLast((each) => sameCall(each.request, request));
    if (request.method === "BYE" && call !== undefined) call.bye = request;
    const sdp = sdpOf(request);
    tx.respond(
      buildResponse(request, request.method === "BYE" ? 200 : this.inDialogStatus, {
        headers: [{ name: "Contact", value: `<sip:peer@${this.address}:5060>` }],
        ...(request.method === "INVITE" || (request.method === "UPDATE" && sdp !== undefined)
          ? { body: phoneSdp(this.address, "0 101"), contentType: "application/sdp" }
          : {}),
      }),
    );
  }
}

function sameCall(a: SipRequest, b: SipRequest): boolean {
  const id = (request: SipRequest) => request.headers.find(({ name }) => name === "Call-ID")?.value;
  return id(a) === id(b);
}

/** A call that a played phone makes. */
export class Outgoing {
  readonly responses: SipResponse[] = [];
  readonly request: SipRequest;
  dialog: Dialog | undefined;
  tx: ClientTransaction | undefined;
  readonly #peer: Peer;
  readonly #flow: Flow;

  constructor(peer: Peer, flow: Flow, request: SipRequest) {
    this.#peer = peer;
    this.#flow = flow;
    this.request = request;
  }
  start(): this {
    this.tx = this.#peer.layer.request(this.request, this.#flow, {
      onProvisional: (response) => void this.responses.push(response),
      onFinal: (response) => {
        this.responses.push(response);
        if (response.status >= 300 || this.dialog !== undefined) return;
        this.dialog = fromUac(this.request, response);
        if (this.dialog !== undefined && this.answersWith === undefined) this.ack();
        else if (this.dialog !== undefined) this.ack(this.answersWith);
      },
      onTimeout: () => {},
      onTransportError: () => {},
    });
    return this;
  }
  /** For a late offer: the answer in the ACK. */
  answersWith: string | undefined;
  ack(sdp?: string): void {
    if (this.dialog === undefined) return;
    const content = sdp === undefined ? {} : { body: sdp, contentType: "application/sdp" };
    this.#peer.layer.sendAck(newAck(this.dialog, cseqOf(this.request)?.seq ?? 1, content), this.#flow);
  }
  send(method: string, parts: { body?: string; contentType?: string; headers?: Header[] } = {}): Promise<SipResponse> {
    if (this.dialog === undefined) throw new Error("no dialog");
    const next = newRequest(this.dialog, method, { contact: `<sip:peer@${this.#peer.address}:5060>`, ...parts });
    this.dialog = next.dialog;
    return this.#peer.request(next.request, this.#flow);
  }
  ackLast(): void {
    if (this.dialog === undefined) return;
    this.#peer.layer.sendAck(newAck(this.dialog, this.dialog.localSeq ?? 1), this.#flow);
  }
  get statuses(): number[] {
    return this.responses.map(({ status }) => status);
  }
  get final(): SipResponse | undefined {
    return this.responses.find(({ status }) => status >= 200);
  }
}

export interface World {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  readonly phone: Peer;
  readonly phone2: Peer;
  readonly pbx: Peer;
  readonly direct: Peer;
  readonly lte: Peer;
  readonly wan: TestPath;
  readonly ltePath: TestPath;
  readonly trunks: TestTrunk[];
  readonly relay: TestRelay;
  readonly events: HoldfastEvent[];
  readonly alarms: AlarmBoard;
  readonly bindings: Binding[];
  readonly journalDir: string;
  calls: Calls;
  config: SiteConfig;
  mode: Mode;
  readonly trunk: (id: string) => TestTrunk;
  /** Moves time, one millisecond or ten at a time, letting promises run in between. */
  advance(ms: number): Promise<void>;
  dial(number: string, parts?: { from?: Peer; uri?: string; sdp?: string | undefined; headers?: Header[] }): Outgoing;
  /** A call that a trunk brings. */
  inbound(peer: Peer, trunkId: string, user: string, headers?: Header[]): Outgoing;
  verdict(path: TestPath, state: HealthState): void;
  /** Whether what a peer says is lost on its way to the box; what the box says arrives. */
  mute(peer: Peer, muted: boolean): void;
  events_of<T extends HoldfastEvent["type"]>(type: T): Extract<HoldfastEvent, { type: T }>["data"][];
  /** A new engine in the place of the old one, which is gone without a word. */
  restart(): Promise<void>;
  register(extension: string, peer: Peer): void;
}

export interface WorldOptions {
  readonly config?: Partial<SiteConfig>;
  readonly trunks?: (paths: { wan: TestPath; lte: TestPath }) => readonly TestTrunkParts[];
}

const defaultTrunks = ({ wan, lte }: { wan: TestPath; lte: TestPath }): readonly TestTrunkParts[] => [
  { id: "direct", path: wan, remote: DIRECT, local_port: 5072, roles: ["emergency"] },
  { id: "lte-trunk", path: lte, remote: LTE, local_port: 5070 },
];

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const clock = new ManualClock(1000);
  const network = new MemoryNetwork({ clock });
  const peers = [PHONE, PHONE_2, PBX, DIRECT, LTE].map((address) => new Peer(address, network, clock));
  for (const peer of peers) await peer.listen();
  const [phone, phone2, pbx, direct, lte] = peers as [Peer, Peer, Peer, Peer, Peer];
  const wan = new TestPath("wan", "wan", BOX_LAN);
  const ltePath = new TestPath("lte", "lte", BOX_LTE);
  const relay = new TestRelay();
  const events: HoldfastEvent[] = [];
  const alarms = new AlarmBoard(
    () => clock.wall(),
    () => {},
  );
  const bindings: Binding[] = [];
  const journalDir = mkdtempSync(join(tmpdir(), "holdfast-calls-"));
  const parts = (options.trunks ?? defaultTrunks)({ wan, lte: ltePath });
  const trunks: TestTrunk[] = [];

  const world: World = {
    clock,
    network,
    phone,
    phone2,
    pbx,
    direct,
    lte,
    wan,
    ltePath,
    trunks,
    relay,
    events,
    alarms,
    bindings,
    journalDir,
    calls: undefined as unknown as Calls,
    config: siteConfig(options.config),
    mode: "normal",
    trunk: (id) => {
      const found = trunks.find((trunk) => trunk.id === id);
      if (found === undefined) throw new Error(`no trunk ${id}`);
      return found;
    },
    async advance(ms) {
      const step = ms > 2000 ? 10 : 1;
      for (let passed = 0; passed < ms; passed += step) {
        clock.advance(step);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    dial(number, { from = phone, uri, sdp = phoneSdp(from.address), headers = [] } = {}) {
      const request = buildRequest({
        method: "INVITE",
        uri: uri ?? `sip:${number}@${BOX_LAN}`,
        from: `"Phone" <sip:${from === phone2 ? "102" : "101"}@pbx.example>;tag=${token(4)}`,
        to: `<sip:${number}@pbx.example>`,
        callId: token(8),
        cseq: 1,
        contact: `<sip:peer@${from.address}:5060>`,
        headers,
        ...(sdp === "" ? {} : { body: sdp, contentType: "application/sdp" }),
      });
      const flow = from.transport.flowTo({
        protocol: "udp",
        address: BOX_LAN,
        port: 5060,
        local_address: from.address,
        local_port: 5060,
      });
      return new Outgoing(from, flow, request).start();
    },
    inbound(peer, trunkId, user, headers = []) {
      const { local } = world.trunk(trunkId);
      const request = buildRequest({
        method: "INVITE",
        uri: `sip:${user}@${local.address}:${local.port}`,
        from: `<sip:+17205550199@carrier.example>;tag=${token(4)}`,
        to: `<sip:${user}@carrier.example>`,
        callId: token(8),
        cseq: 1,
        contact: `<sip:peer@${peer.address}:5060>`,
        headers,
        body: phoneSdp(peer.address),
        contentType: "application/sdp",
      });
      const flow = peer.transport.flowTo({
        protocol: "udp",
        address: local.address,
        port: local.port,
        local_address: peer.address,
        local_port: 5060,
      });
      return new Outgoing(peer, flow, request).start();
    },
    mute(peer, muted) {
      network.setPath(peer.address, "*", { cut: muted ? "black-hole" : "none" });
    },
    verdict(path, state) {
      path.state = state;
      world.calls.pathChanged(path);
    },
    events_of(type) {
      return events.filter((event) => event.type === type).map(({ data }) => data) as never;
    },
    async restart() {
      await transport?.shutdown();
      await boot();
      await world.calls.resume();
    },
    register(extension, peer) {
      const number = extension.replace("ext-", "");
      bindings.push({
        aor: `sip:${number}@pbx.example`,
        contact: `sip:peer@${peer.address}:5060`,
        contact_params: "",
        call_id: "r",
        cseq: 1,
        expires_wall: clock.wall() + 3_600_000,
        transport: "udp",
        source_address: peer.address,
        source_port: 5060,
        local_address: BOX_LAN,
        local_port: 5060,
        instance: undefined,
        user_agent: "",
        trust: "full",
        cloud_accepted_wall: undefined,
        flow_token: number,
      });
    },
  };

  let transport: TransportLayer | undefined;
  const boot = async () => {
    const box = network.transport();
    transport = box;
    await box.listen({ protocol: "udp", address: BOX_LAN, port: 5060 });
    for (const each of parts) {
      await box.listen({ protocol: "udp", address: each.path.localAddress ?? "", port: each.local_port });
    }
    trunks.splice(0, trunks.length, ...parts.map((each) => new TestTrunk(each, box)));
    const transactions = new TransactionLayer({ transport: box, clock });
    const origin = { org: "acme", site: "denver", box: "box-1", boot_id: "b", practice: true };
    const of = (flow: Flow) => trunks.find(({ local }) => local.port === flow.local.port);
    const context: CallsContext = {
      config: () => world.config,
      mode: () => world.mode,
      clock,
      log: silentLog,
      transactions,
      transport: box,
      trunks: {
        get: (id) => trunks.find((trunk) => trunk.id === id),
        all: () => trunks,
        of,
        onChange: () => {},
      },
      paths: {
        get: (id) => [wan, ltePath].find((path) => path.id === id),
        all: () => [wan, ltePath],
        onChange: () => {},
      },
      contacts: {
        ofExtension: (id) => bindings.filter(({ aor }) => aor.startsWith(`sip:${id.replace("ext-", "")}@`)),
        bySource: (address, port) =>
          bindings.find((each) => each.source_address === address && each.source_port === port),
        byToken: () => undefined,
        all: () => bindings,
      },
      relay,
      record: (event) => void events.push(event),
      events: createEventFactory(
        clock,
        () => origin,
        () => "synchronised",
      ),
      alarms,
      journalDir,
    };
    const calls = new Calls(context);
    world.calls = calls;
    transactions.onRequest((tx, flow) => {
      const trunk = of(flow);
      if (calls.owns(tx.request) && tagOf(tx.request, "To") !== undefined) calls.inDialog(tx, flow);
      else if (tx.request.method !== "INVITE") tx.respond(buildResponse(tx.request, 481));
      else if (trunk !== undefined) calls.takeInbound(tx, flow, trunk);
      else if (classify(tx.request, world.config) !== undefined) calls.takeEmergency(tx, flow);
      else {
        const user = /^sip:([^@]*)@/.exec(tx.request.uri)?.[1] ?? "";
        const route = plan(
          { dialled: user, user, from: { side: "lan", extension: "ext-101" } },
          world.config,
          routingView("survivable", context.trunks),
        );
        calls.takeOutbound(tx, flow, route);
      }
    });
    transactions.onAck((ack, flow) => {
      if (calls.owns(ack)) calls.onAck(ack, flow);
    });
  };
  await boot();
  return world;
}
