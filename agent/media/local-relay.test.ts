import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ManualClock } from "../base/manual-clock.ts";
import { loadAnnouncements } from "./announcements.ts";
import { canonicalAddress, openMediaSocket } from "./datagram.ts";
import { decodeG711, PCMA, PCMU } from "./g711.ts";
import { LocalRelay } from "./local-relay.ts";
import { ANNOUNCEMENTS, type EndpointInfo, US_TONES } from "./relay.ts";
import type { RtpPacket } from "./rtp.ts";
import { detectTones } from "./tone-detection.ts";
import { UdpPeer } from "./udp-peer.ts";

const HERE = "127.0.0.1";
/** Another host, as far as a source address tells. */
const STRANGER = "127.0.0.66";

let clock: ManualClock;
let relay: LocalRelay;
let peers: UdpPeer[];

beforeEach(() => {
  clock = new ManualClock(5000);
  peers = [];
  relay = new LocalRelay({
    clock,
    port_min: 30000,
    port_max: 30199,
    openSocket: openMediaSocket,
    announcements: loadAnnouncements(() => {}),
    allows: (address) => address.startsWith("127.") || address === "::1",
  });
});

afterEach(() => {
  relay.closeAll();
  for (const peer of peers) peer.close();
  expect(clock.pending).toBe(0);
});

async function peer(address = HERE): Promise<UdpPeer> {
  const opened = await UdpPeer.open(address);
  peers.push(opened);
  return opened;
}

async function open(id: string, call_id = "call", emergency = false): Promise<number> {
  return (await relay.open({ id, call_id, local_address: HERE, emergency })).port;
}

function towards(target: UdpPeer, ...accept_from: string[]) {
  return { address: target.address, port: target.port, accept_from: accept_from.length > 0 ? accept_from : [HERE] };
}

async function info(id: string): Promise<EndpointInfo> {
  const found = (await relay.list()).find((endpoint) => endpoint.id === id);
  if (found === undefined) throw new Error(`no endpoint ${id}`);
  return found;
}

/** A phone and a trunk, each at its own endpoint, bridged; both have been heard. */
async function call() {
  const phone = await peer();
  const trunk = await peer();
  const phonePort = await open("phone");
  const trunkPort = await open("trunk");
  await relay.setPeer("phone", towards(phone));
  await relay.setPeer("trunk", towards(trunk));
  await relay.bridge("phone", "trunk");
  phone.sendRtp({ ssrc: 1, sequence: 100, timestamp: 1000 }, phonePort);
  await trunk.next();
  trunk.sendRtp({ ssrc: 2, sequence: 200, timestamp: 2000 }, trunkPort);
  await phone.next();
  return { phone, trunk, phonePort, trunkPort };
}

describe("a bridged call", () => {
  test("carries RTP both ways, bit for bit, from the port the other side was told", async () => {
    const { phone, trunk, phonePort, trunkPort } = await call();
    const srtp = Uint8Array.from({ length: 182 }, (_, i) => (i === 0 ? 0x90 : i * 7));
    phone.send(srtp, phonePort);
    expect(await trunk.next()).toMatchObject({ packet: Buffer.from(srtp), address: HERE, port: trunkPort });
    trunk.send(srtp, trunkPort);
    expect(await phone.next()).toMatchObject({ packet: Buffer.from(srtp), address: HERE, port: phonePort });
    expect(await info("phone")).toMatchObject({
      bridged_to: "trunk",
      packets_in: 2,
      packets_out: 2,
      packets_dropped: 0,
      silent_ms: 0,
    });
    clock.advance(750);
    expect((await info("phone")).silent_ms).toBe(750);
  });

  test("carries RTCP on the next port both ways", async () => {
    const phone = await UdpPeer.open(HERE, 0);
    const trunk = await UdpPeer.open(HERE, 0);
    peers.push(phone, trunk);
    const phonePort = await open("phone");
    const trunkPort = await open("trunk");
    // The peers named their RTCP ports (RFC 3605); RTP is elsewhere and does not matter here.
    await relay.setPeer("phone", { address: HERE, port: 9, rtcp_port: phone.port, accept_from: [HERE] });
    await relay.setPeer("trunk", { address: HERE, port: 9, rtcp_port: trunk.port, accept_from: [HERE] });
    await relay.bridge("phone", "trunk");
    const report = Buffer.from("80c9000100000001", "hex");
    phone.send(report, phonePort + 1);
    expect(await trunk.next()).toMatchObject({ packet: report, port: trunkPort + 1 });
    trunk.send(report, trunkPort + 1);
    expect(await phone.next()).toMatchObject({ packet: report, port: phonePort + 1 });
  });

  test("carries RTCP between a peer that multiplexes and one that does not", async () => {
    const phone = await peer();
    const trunkRtcp = await peer();
    const phonePort = await open("phone");
    const trunkPort = await open("trunk");
    await relay.setPeer("phone", { address: HERE, port: phone.port, rtcp_port: phone.port, accept_from: [HERE] });
    await relay.setPeer("trunk", { address: HERE, port: 9, rtcp_port: trunkRtcp.port, accept_from: [HERE] });
    await relay.bridge("phone", "trunk");
    const report = Buffer.from("80c9000100000001", "hex");
    phone.send(report, phonePort);
    expect(await trunkRtcp.next()).toMatchObject({ packet: report, port: trunkPort + 1 });
    trunkRtcp.send(report, trunkPort + 1);
    expect(await phone.next()).toMatchObject({ packet: report, port: phonePort });
  });

  test("opaque endpoints carry what is no RTP bit for bit: T.38, STUN, DTLS, even what looks like RTCP", async () => {
    const phone = await peer();
    const trunk = await peer();
    const spec = { call_id: "call", local_address: HERE, emergency: false, opaque: true };
    const phonePort = (await relay.open({ ...spec, id: "phone" })).port;
    const trunkPort = (await relay.open({ ...spec, id: "trunk" })).port;
    await relay.setPeer("phone", towards(phone));
    await relay.setPeer("trunk", towards(trunk));
    await relay.bridge("phone", "trunk");
    const udptl = Buffer.from("00010ac1000600", "hex");
    // The 32,969th packet of a long fax has the looks of RTCP in its first two bytes.
    const long = Buffer.from("80c9060000000000000102030405", "hex");
    const stun = Buffer.from("000100002112a442000102030405060708090a0b", "hex");
    const dtls = Buffer.from("16fefd0000000000000000000401020304", "hex");
    for (const packet of [udptl, long, stun, dtls]) {
      phone.send(packet, phonePort);
      expect(await trunk.next()).toMatchObject({ packet, port: trunkPort });
      trunk.send(packet, trunkPort);
      expect(await phone.next()).toMatchObject({ packet, port: phonePort });
    }
    const stranger = await peer(STRANGER);
    stranger.send(udptl, phonePort, HERE);
    phone.send(dtls, phonePort);
    expect(await trunk.next()).toMatchObject({ packet: dtls });
    expect(await info("phone")).toMatchObject({ packets_in: 5, packets_dropped: 1 });
  });

  test("what is no RTP is dropped elsewhere", async () => {
    const { phone, phonePort, trunk } = await call();
    phone.send(Buffer.from("000100002112a442000102030405060708090a0b", "hex"), phonePort);
    phone.sendRtp({ sequence: 101 }, phonePort);
    expect((await trunk.nextRtp()).sequence).toBe(101);
    expect((await info("phone")).packets_dropped).toBe(1);
  });

  test("RTCP on the RTP port of a peer that does not multiplex is dropped", async () => {
    const { phone, phonePort, trunk } = await call();
    phone.send(Buffer.from("80c9000100000001", "hex"), phonePort);
    phone.sendRtp({ sequence: 101 }, phonePort);
    expect((await trunk.nextRtp()).sequence).toBe(101);
    expect((await info("phone")).packets_dropped).toBe(1);
  });

  test("works over IPv6", async () => {
    const phone = await peer("::1");
    const trunk = await peer();
    const { port } = await relay.open({ id: "six", call_id: "call", local_address: "0:0::1", emergency: false });
    await open("four");
    await relay.setPeer("six", { address: "0::1", port: phone.port, accept_from: ["0:0:0::1"] });
    await relay.setPeer("four", towards(trunk));
    await relay.bridge("six", "four");
    phone.sendRtp({ ssrc: 6 }, port);
    expect((await trunk.nextRtp()).ssrc).toBe(6);
    await expect(relay.setPeer("six", towards(trunk))).rejects.toMatchObject({ code: "media.refused" });
  });

  test("moves to another trunk in mid-call, the old bridge undone", async () => {
    const { phone, trunk, phonePort, trunkPort } = await call();
    const lte = await peer();
    const ltePort = await open("lte");
    await relay.setPeer("lte", towards(lte));
    await relay.bridge("phone", "lte");
    trunk.sendRtp({ ssrc: 2 }, trunkPort);
    lte.sendRtp({ ssrc: 3 }, ltePort);
    expect((await phone.nextRtp()).ssrc).toBe(3);
    phone.sendRtp({ ssrc: 1 }, phonePort);
    expect((await lte.nextRtp()).ssrc).toBe(1);
    expect((await info("trunk")).bridged_to).toBeUndefined();
    expect([phone.unread, trunk.unread]).toEqual([0, 0]);
    await relay.unbridge("lte");
    expect((await info("phone")).bridged_to).toBeUndefined();
  });
});

describe("whom an endpoint listens to", () => {
  test("nobody until it has a peer, and only the peer then; others are counted", async () => {
    const phone = await peer();
    const trunk = await peer();
    const stranger = await peer(STRANGER);
    const phonePort = await open("phone");
    await open("trunk");
    await relay.setPeer("trunk", towards(trunk));
    await relay.bridge("phone", "trunk");
    phone.sendRtp({ sequence: 1 }, phonePort);
    const before = await peer();
    before.sendRtp({ sequence: 2 }, phonePort);
    // A datagram to ourselves that arrives after those two: the endpoint has seen them.
    before.send(Uint8Array.of(0), before.port);
    await before.next();
    await relay.setPeer("phone", towards(phone));
    stranger.send(Buffer.from("800000030000000000000009", "hex"), phonePort, HERE);
    phone.sendRtp({ sequence: 4 }, phonePort);
    expect((await trunk.nextRtp()).sequence).toBe(4);
    expect(trunk.unread).toBe(0);
    expect(await info("phone")).toMatchObject({ packets_in: 1, packets_dropped: 3 });
  });

  test("a peer behind NAT is answered where it is heard from, RTCP beside it", async () => {
    const { trunk, trunkPort, phonePort } = await call();
    const phone = await peer();
    const rtcp = await UdpPeer.open(HERE, phone.port + 1);
    peers.push(rtcp);
    // What the phone wrote into its SDP is an address of its own network; its signalling comes from HERE.
    await relay.setPeer("phone", { address: "127.0.0.99", port: 9, accept_from: ["127.0.0.99", HERE] });
    phone.sendRtp({ ssrc: 1 }, phonePort);
    expect((await trunk.nextRtp()).ssrc).toBe(1);
    trunk.sendRtp({ ssrc: 2 }, trunkPort);
    expect((await phone.nextRtp()).ssrc).toBe(2);
    const report = Buffer.from("80c9000100000002", "hex");
    const trunkRtcp = await peer();
    trunkRtcp.send(report, trunkPort + 1);
    expect((await rtcp.next()).packet).toEqual(report);
    expect(await info("trunk")).toMatchObject({ receiver_reports: 1 });
  });

  test("no RTP bleeds to somebody who sends later from an allowed address", async () => {
    const { phone, trunkPort, phonePort, trunk } = await call();
    const intruder = await peer();
    intruder.sendRtp({ ssrc: 666 }, phonePort);
    phone.sendRtp({ ssrc: 1, sequence: 101 }, phonePort);
    expect((await trunk.nextRtp()).ssrc).toBe(1);
    trunk.sendRtp({ ssrc: 2 }, trunkPort);
    expect((await phone.nextRtp()).ssrc).toBe(2);
    expect([intruder.unread, trunk.unread]).toEqual([0, 0]);
    expect((await info("phone")).packets_dropped).toBe(1);
  });

  test("the same peer again relearns nothing; a changed one is learned anew", async () => {
    const { phone, phonePort, trunk } = await call();
    const moved = await peer();
    await relay.setPeer("phone", towards(phone));
    moved.sendRtp({ ssrc: 5 }, phonePort);
    phone.sendRtp({ ssrc: 1 }, phonePort);
    expect((await trunk.nextRtp()).ssrc).toBe(1);
    await relay.setPeer("phone", towards(moved));
    moved.sendRtp({ ssrc: 5 }, phonePort);
    expect((await trunk.nextRtp()).ssrc).toBe(5);
  });

  test("a peer on hold is heard but sent nothing", async () => {
    const { phone, phonePort, trunk, trunkPort } = await call();
    await relay.setPeer("phone", { address: HERE, port: 0, accept_from: [HERE] });
    trunk.sendRtp({ ssrc: 2 }, trunkPort);
    phone.sendRtp({ ssrc: 1 }, phonePort);
    expect((await trunk.nextRtp()).ssrc).toBe(1);
    expect([phone.unread, (await info("phone")).packets_out]).toEqual([0, 1]);
  });

  test("what is no RTP is dropped and counted", async () => {
    const { phone, phonePort, trunk } = await call();
    for (const junk of ["", "80", "000100002112a442", "40000001000000010000000100", "80c80000"]) {
      phone.send(Buffer.from(junk, "hex"), phonePort);
      phone.send(Buffer.from(junk, "hex"), phonePort + 1);
    }
    phone.sendRtp({ sequence: 9 }, phonePort);
    expect((await trunk.nextRtp()).sequence).toBe(9);
    expect((await info("phone")).packets_dropped).toBe(10);
    expect(trunk.unread).toBe(0);
  });
});

describe("sound of the relay's own", () => {
  test("ringback is heard as the tones it is made of, every 20 ms, in one unbroken stream", async () => {
    const phone = await peer();
    await open("phone");
    await relay.setPeer("phone", towards(phone));
    await relay.play("phone", { payload_type: PCMU, sound: US_TONES.ringback });
    clock.advance(980);
    await relay.stop("phone");
    clock.advance(1000);
    const packets: RtpPacket[] = [];
    for (let i = 0; i < 50; i++) packets.push(await phone.nextRtp());
    expect(phone.unread).toBe(0);
    expect(packets.map((packet) => packet.marker)).toEqual([true, ...new Array(49).fill(false)]);
    expect(new Set(packets.map((packet) => packet.ssrc)).size).toBe(1);
    packets.slice(1).forEach((packet, i) => {
      expect((packet.sequence - (packets[i]?.sequence ?? 0) + 65536) % 65536).toBe(1);
      expect((packet.timestamp - (packets[i]?.timestamp ?? 0) + 2 ** 32) % 2 ** 32).toBe(160);
    });
    const sound = decodeG711(PCMU, Buffer.concat(packets.map((packet) => packet.payload)));
    const tones = detectTones(sound, 8000, [350, 440, 480, 620]).map((tone) => tone.frequency_hz);
    // 440 and 480 Hz lie too close for one window; the pair is told from the plan's other tones.
    expect(tones).toContain(440);
    expect(tones).not.toContain(350);
    expect(tones).not.toContain(620);
  });

  test("mutes the bridge towards the phone only, and the bridge goes on in the same stream afterwards", async () => {
    const { phone, phonePort, trunk, trunkPort } = await call();
    clock.advance(20);
    await relay.play("phone", { payload_type: PCMU, sound: US_TONES.busy });
    expect((await info("phone")).playing).toBe(true);
    expect(await phone.nextRtp()).toMatchObject({ ssrc: 2, sequence: 201, timestamp: 2160, marker: true });
    trunk.sendRtp({ ssrc: 2, sequence: 201, timestamp: 2160, payload: Uint8Array.of(1) }, trunkPort);
    phone.sendRtp({ ssrc: 1, sequence: 101 }, phonePort);
    expect(await trunk.nextRtp()).toMatchObject({ ssrc: 1, sequence: 101 });
    await relay.stop("phone");
    clock.advance(20);
    trunk.sendRtp({ ssrc: 2, sequence: 202, timestamp: 2320, payload: Uint8Array.of(2) }, trunkPort);
    expect(await phone.nextRtp()).toEqual({
      ssrc: 2,
      sequence: 202,
      timestamp: 2320,
      marker: true,
      payload_type: 0,
      payload: Buffer.of(2),
    });
    expect(phone.unread).toBe(0);
  });

  test("RTCP is withheld while it would be untrue, and fitted to the renumbered stream afterwards", async () => {
    const { phone, trunk, trunkPort } = await call();
    const trunkRtcp = await peer();
    const phoneRtcp = await peer();
    await relay.setPeer("phone", { ...towards(phone), rtcp_port: phoneRtcp.port });
    const report = (timestamp: string) =>
      Buffer.from(`80c8000600000002ffffffffffffffff${timestamp}0000000100000001`, "hex");
    await relay.play("phone", { payload_type: PCMU, sound: US_TONES.busy });
    await phone.next();
    trunkRtcp.send(report("000007d0"), trunkPort + 1);
    clock.advance(20);
    await phone.next();
    await relay.stop("phone");
    clock.advance(20);
    // The source stood still beneath the sound: its next packet is two behind what the phone has had.
    trunk.sendRtp({ ssrc: 2, sequence: 201, timestamp: 2000 + 160 }, trunkPort);
    const { timestamp } = await phone.nextRtp();
    expect(timestamp).toBe(2000 + 3 * 160);
    trunkRtcp.send(report("00000870"), trunkPort + 1);
    expect((await phoneRtcp.next()).packet).toEqual(report("000009b0"));
    expect(phoneRtcp.unread).toBe(0);
  });

  test.each(Object.entries(ANNOUNCEMENTS))(
    "announcement %s is played to its end, then falls silent",
    async (name, it) => {
      const phone = await peer();
      await open("phone");
      await relay.setPeer("phone", towards(phone));
      await relay.play("phone", { payload_type: PCMA, sound: { kind: "announcement", name } });
      const frames = Math.ceil(it.duration_ms / 20);
      let energy = 0;
      for (let i = 0; i < frames; i++) {
        const { payload, payload_type } = await phone.nextRtp();
        expect(payload_type).toBe(PCMA);
        energy += decodeG711(PCMA, payload).reduce((sum, sample) => sum + sample * sample, 0);
        clock.advance(20);
      }
      expect(Math.sqrt(energy / (frames * 160))).toBeGreaterThan(500);
      expect(await info("phone")).toMatchObject({ playing: false, packets_out: frames });
    },
  );

  test("a new sound replaces the one before without a break in the stream", async () => {
    const phone = await peer();
    await open("phone");
    await relay.setPeer("phone", towards(phone));
    await relay.play("phone", { payload_type: PCMU, sound: US_TONES.dial });
    clock.advance(20);
    await relay.play("phone", { payload_type: PCMU, sound: US_TONES.reorder });
    const [first, second, third] = [await phone.nextRtp(), await phone.nextRtp(), await phone.nextRtp()];
    expect([second.ssrc, third.ssrc]).toEqual([first.ssrc, first.ssrc]);
    expect((third.sequence - first.sequence + 65536) % 65536).toBe(2);
    clock.advance(20);
    expect((await info("phone")).packets_out).toBe(4);
  });
});

describe("keeping order", () => {
  test("RTP ports are even; opening an id again, even at once, gives the port it has", async () => {
    const [first, second] = await Promise.all([open("a"), open("a")]);
    expect(second).toBe(first);
    expect(first % 2).toBe(0);
    expect(await open("a")).toBe(first);
    expect(await relay.list()).toHaveLength(1);
  });

  test("closing a call closes its endpoints, also one still being opened, and no other", async () => {
    await open("a", "one");
    await open("b", "two");
    const opening = open("c", "one");
    await relay.closeCall("one");
    await opening;
    expect((await relay.list()).map((endpoint) => endpoint.id)).toEqual(["b"]);
  });

  test("what is not there is unknown to what needs it, and nothing to what undoes", async () => {
    const phone = await peer();
    await open("a");
    const unknown = { code: "media.unknown_endpoint" };
    await expect(relay.setPeer("x", towards(phone))).rejects.toMatchObject(unknown);
    await expect(relay.bridge("a", "x")).rejects.toMatchObject(unknown);
    await expect(relay.play("x", { payload_type: 0, sound: US_TONES.busy })).rejects.toMatchObject(unknown);
    for (const undo of ["unbridge", "stop", "close", "closeCall"] as const) await relay[undo]("x");
  });

  test.each([
    ["a name instead of an address", { address: "pbx.example", port: 4000, accept_from: [] }],
    ["a port beyond 65535", { address: HERE, port: 65536, accept_from: [] }],
    ["a source that is no address", { address: HERE, port: 4000, accept_from: ["any"] }],
  ])("%s is refused", async (_name, wrong) => {
    await open("a");
    await expect(relay.setPeer("a", wrong)).rejects.toMatchObject({ code: "media.refused" });
  });

  test("in practice, an address out of the machine is refused", async () => {
    await open("a");
    await expect(relay.setPeer("a", { address: "192.0.2.1", port: 4000, accept_from: [] })).rejects.toMatchObject({
      code: "practice.forbidden",
    });
  });

  test.each([
    { kind: "announcement", name: "unheard" },
    { kind: "tone", frequencies_hz: [], on_ms: 1, off_ms: 1, repeat: 1 },
    { kind: "tone", frequencies_hz: [4000], on_ms: 1, off_ms: 1, repeat: 1 },
    { kind: "tone", frequencies_hz: [400], on_ms: 0, off_ms: 1, repeat: 1 },
  ] as const)("sound that cannot be made is refused: %j", async (sound) => {
    await open("a");
    await expect(relay.play("a", { payload_type: 0, sound })).rejects.toMatchObject({ code: "media.refused" });
  });

  test("a held side does not let go of a bridge whose other side still talks", async () => {
    const { phone, phonePort, trunk } = await call();
    const orphaned = clock.now();
    clock.advance(59_000);
    phone.sendRtp({ ssrc: 1 }, phonePort);
    await trunk.next();
    clock.advance(59_000);
    expect(relay.reap(orphaned)).toEqual([]);
    clock.advance(1_000);
    expect(relay.reap(orphaned).map((endpoint) => endpoint.id)).toEqual(["phone", "trunk"]);
    expect(await relay.list()).toEqual([]);
  });
});

test("addresses compare as the system prints them", () => {
  expect(
    ["0:0::1", "2001:DB8::00A", "::ffff:192.0.2.1", "fe80::1%eth0", "192.0.2.1", "pbx.example", "1.2.3", "", "::g"].map(
      canonicalAddress,
    ),
  ).toEqual([
    "::1",
    "2001:db8::a",
    "::ffff:192.0.2.1",
    "fe80::1%eth0",
    "192.0.2.1",
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
