/** A box, its phones and its trunks in memory, for tests of calls: everything but the calls is played. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AlarmBoard } from "../../../base/alarms.ts";
import type { SiteConfig } from "../../../base/config/schema.ts";
import { createEventFactory, type HealthState, type HoldfastEvent, type Mode } from "../../../base/events.ts";
import { token } from "../../../base/ids.ts";
import { silentLog } from "../../../base/log.ts";
import { ManualClock } from "../../../base/manual-clock.ts";
import type { Binding } from "../../../base/snapshot.ts";
import { buildRequest, buildResponse } from "../../../sip/messages/build.ts";
import type { Header } from "../../../sip/messages/message.ts";
import { tagOf } from "../../../sip/messages/name-addr.ts";
import { TransactionLayer } from "../../../sip/transactions/layer.ts";
import type { Flow } from "../../../sip/transport/flow.ts";
import { MemoryNetwork } from "../../../sip/transport/memory-network.ts";
import type { TransportLayer } from "../../../sip/transport/transport.ts";
import { classify } from "../../emergency/classify.ts";
import { plan } from "../../routing/plan.ts";
import { routingView } from "../../routing/view.ts";
import { Calls, type CallsContext } from "../calls.ts";
import { Outgoing, Peer } from "./peers.ts";
import { TestRelay } from "./relay.ts";
import { BOX_LAN, BOX_LTE, DIRECT, LTE, PBX, PHONE, PHONE_2, phoneSdp, siteConfig } from "./site.ts";
import { TestPath, TestTrunk, type TestTrunkParts } from "./trunks.ts";

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
  /** Paths that forwarded calls had to leave, and how many INVITEs LTE had got by then. */
  readonly gaveWay: { readonly path: string; readonly invites: number }[];
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
  /** The trunk `direct` can be reached over LTE too, for calls that are up. */
  readonly detour?: boolean;
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
    gaveWay: [],
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
    const away: TestTrunkParts = { id: "direct--lte", path: ltePath, remote: DIRECT, local_port: 5072 };
    if (options.detour) await box.listen({ protocol: "udp", address: BOX_LTE, port: away.local_port });
    const detour = options.detour ? new TestTrunk(away, box) : undefined;
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
        get: (id) => [...trunks, ...(detour === undefined ? [] : [detour])].find((trunk) => trunk.id === id),
        all: () => trunks,
        pbxs: () => trunks.filter(({ kind }) => kind === "pbx"),
        detour: (id) => (id === "direct" ? detour : undefined),
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
      forwardedGiveWay: (path) => void world.gaveWay.push({ path, invites: world.lte.calls.length }),
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
