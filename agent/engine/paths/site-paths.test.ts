import { createSocket, type Socket } from "node:dgram";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { decode, encode } from "dns-packet";
import { afterEach, describe, expect, test } from "vitest";
import { AlarmBoard } from "../../base/alarms.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import type { PathConfig, SiteConfig } from "../../base/config/schema.ts";
import { createEventFactory, type HealthState, type HoldfastEvent } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { ProbeSocketEvents } from "./datagram-socket.ts";
import type { IpCommand } from "./ip-command.ts";
import { SitePaths, type SitePathsContext } from "./site-paths.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const noIp: IpCommand = { ask: async () => ({ ok: false, error: "none" }), onChange() {}, close() {} };

function site(clock: Clock, path: Partial<PathConfig>, ports: Partial<SitePathsContext>) {
  const full: PathConfig = { id: "wan", kind: "wan", dns_servers: [], echo_responders: [], ...path };
  const record: HoldfastEvent[] = [];
  const alarms = new AlarmBoard(
    () => clock.wall(),
    () => {},
  );
  const paths = new SitePaths({
    config: { paths: [full], failover: { hold_down_ms: 30_000, hold_down_max_ms: 600_000 } } as unknown as SiteConfig,
    clock,
    log: silentLog,
    alarms,
    events: createEventFactory(
      clock,
      () => ({ org: "o", site: "s", box: "b", boot_id: "x", practice: false }),
      () => "unset",
    ),
    record: (event) => void record.push(event),
    ip: noIp,
    random: () => 0.5,
    ...ports,
  });
  cleanups.push(() => paths.close());
  const wan = paths.get("wan");
  if (wan === undefined) throw new Error("no path");
  const reached = (state: HealthState) =>
    new Promise<number>((resolve) => {
      if (wan.health.state === state) resolve(clock.now());
      paths.onChange(() => {
        if (wan.health.state === state) resolve(clock.now());
      });
    });
  return { paths, wan, record, alarms, reached };
}

describe("a path over real sockets", () => {
  const open = (answer: (bytes: Buffer, socket: Socket, port: number) => void) =>
    new Promise<{ socket: Socket; port: number }>((resolve) => {
      const socket = createSocket("udp4");
      socket.on("message", (bytes, from) => answer(bytes, socket, from.port));
      socket.bind(0, "127.0.0.1", () => resolve({ socket, port: socket.address().port }));
      cleanups.push(() => socket.close());
    });

  for (const kind of ["udp_echo", "stun"] as const) {
    test(`is up by a ${kind} responder and down by its silence`, async () => {
      let silent = false;
      const sources = new Set<string>();
      const { socket, port } = await open((bytes, from, to) => {
        if (silent) return;
        const answer = Buffer.from(bytes);
        if (kind === "stun") answer.writeUInt16BE(0x0101, 0);
        from.send(answer, to, "127.0.0.7");
      });
      socket.on("message", (_bytes, from) => void sources.add(from.address));
      const { paths, reached, alarms } = site(
        systemClock,
        { address: "127.0.0.7", echo_responders: [{ kind, address: "127.0.0.1", port }] },
        {},
      );
      paths.start();
      await reached("up");
      // Every probe is pinned to the path's own address.
      expect([...sources]).toEqual(["127.0.0.7"]);
      silent = true;
      await reached("down");
      expect(alarms.active().map((alarm) => alarm.code)).toEqual(["path.down"]);
    });
  }

  test("is up by a TCP canary", async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const { paths, reached, wan } = site(
      systemClock,
      { address: "127.0.0.7", tcp_canary: { address: "127.0.0.1", port } },
      {},
    );
    paths.start();
    await reached("up");
    expect(wan.health.evidence.map((item) => item.source)).toContain("tcp");
  });

  test("is not up by a forged answer", async () => {
    let forged = 0;
    let enough: () => void = () => {};
    const third = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const { port } = await open((bytes, from, to) => {
      const answer = Buffer.from(bytes);
      answer.fill(0x41, 8, 16);
      from.send(answer, to, "127.0.0.7");
      if (++forged === 3) enough();
    });
    const { paths, wan } = site(
      systemClock,
      { address: "127.0.0.7", echo_responders: [{ kind: "udp_echo", address: "127.0.0.1", port }] },
      {},
    );
    paths.start();
    // By the third probe the forged answers to the first two have long been read.
    await third;
    expect(wan.health.state).toBe("unknown");
  });
});

/** A world of datagrams on a clock of its own: each server answers until it is told not to. */
function datagrams(clock: ManualClock, answers: (address: string, bytes: Uint8Array) => Uint8Array | undefined) {
  return (_local: string, events: ProbeSocketEvents) => ({
    send(bytes: Uint8Array, address: string, port: number) {
      const answer = answers(address, bytes);
      if (answer !== undefined) clock.after(20, () => events.message(answer, address, port));
    },
    close() {},
  });
}

const dnsAnswer = (bytes: Uint8Array, rcode: number) => {
  const query = decode(Buffer.from(bytes));
  return encode({ type: "response", id: query.id ?? 0, flags: rcode, questions: query.questions ?? [] });
};

const linkOf = (address: string): IpCommand => ({
  ask: async (question) =>
    question.startsWith("addr")
      ? {
          ok: true,
          json: [
            {
              ifname: "e0",
              flags: ["UP", "LOWER_UP"],
              addr_info: [{ family: "inet", local: address, prefixlen: 24, scope: "global" }],
            },
          ],
        }
      : { ok: true, json: question.startsWith("route") ? [{ dev: "e0", gateway: "10.1.1.1" }] : [] },
  onChange() {},
  close() {},
});

async function run(clock: ManualClock, ms: number): Promise<void> {
  for (let t = 0; t < ms; t += 50) {
    clock.advance(50);
    for (let n = 0; n < 8; n++) await Promise.resolve();
  }
}

describe("a path with DNS servers", () => {
  const setup = (server: string, rcode: number) => {
    const clock = new ManualClock(1_000);
    const world = { dead: false };
    const openSocket = datagrams(clock, (_address, bytes) => (world.dead ? undefined : dnsAnswer(bytes, rcode)));
    const made = site(
      clock,
      { interface: "e0", address: "10.1.1.2", gateway: "10.1.1.1", dns_servers: [server] },
      { openSocket, ip: linkOf("10.1.1.2") },
    );
    made.paths.start();
    return { clock, world, ...made };
  };

  test("is not up because the site's own router answers from its cache", async () => {
    const { clock, wan } = setup("10.1.1.1", 0);
    await run(clock, 20_000);
    expect(wan.health.state).toBe("unknown");
    expect(wan.health.evidence.find((item) => item.source === "dns")?.verdict).toBe("good");
  });

  test("shows SERVFAIL of the router as bad evidence", async () => {
    const { clock, wan } = setup("10.1.1.1", 2);
    await run(clock, 2_000);
    expect(wan.health.evidence.find((item) => item.source === "dns")).toMatchObject({ verdict: "bad" });
  });

  test("is up when a server beyond the gateway answers, whatever it says", async () => {
    const { clock, wan } = setup("203.0.113.53", 2);
    await run(clock, 2_000);
    expect(wan.health.state).toBe("up");
  });

  test("is down within 5 s of the first silence of DNS and a trunk", async () => {
    const { clock, wan, world, paths } = setup("203.0.113.53", 0);
    await run(clock, 2_000);
    wan.heard("trunk t", "options", clock.now(), "");
    world.dead = true;
    // As a trunk does when its path is in doubt.
    paths.onChange((path) => {
      const sent_ms = clock.now();
      if (path.health.state === "suspect") clock.after(1_000, () => wan.unanswered("trunk t", "options", sent_ms, ""));
    });
    await run(clock, 12_000);
    expect(wan.health.state).toBe("down");
    const silence = wan.health.evidence.find((item) => item.source === "dns");
    expect(silence?.verdict).toBe("bad");
  });

  test("and a TCP peer that answers stays up when DNS alone dies", async () => {
    const { clock, wan, world, paths } = setup("203.0.113.53", 0);
    await run(clock, 2_000);
    wan.onDoubt(() => clock.after(30, () => wan.heard("trunk t", "options", clock.now() - 25, "")));
    wan.heard("trunk t", "options", clock.now(), "");
    world.dead = true;
    const states: HealthState[] = [];
    paths.onChange((path) => states.push(path.health.state));
    await run(clock, 60_000);
    expect(states).toEqual([]);
  });
});

describe("the address of a path", () => {
  test("is learned from its interface, and a new one makes it unknown", async () => {
    const clock = new ManualClock(1_000);
    let address = "10.1.1.2";
    const ip: IpCommand = { ...noIp, ask: (question) => linkOf(address).ask(question) };
    const { paths, wan } = site(clock, { interface: "e0" }, { ip, openSocket: datagrams(clock, () => undefined) });
    paths.start();
    await run(clock, 100);
    expect(wan.localAddress).toBe("10.1.1.2");
    wan.heard("trunk t", "options", clock.now(), "");
    expect(wan.health.state).toBe("up");
    address = "10.1.1.77";
    await run(clock, 6_000);
    expect(wan.localAddress).toBe("10.1.1.77");
    expect(wan.health.state).toBe("unknown");
  });

  test("may be IPv6 alone, as LTE often is: its route is looked up in its own family", async () => {
    const clock = new ManualClock(1_000);
    const asked: string[] = [];
    const ip: IpCommand = {
      ...noIp,
      ask: (question) => {
        asked.push(question);
        return linkOf("2001:db8:7::2").ask(question);
      },
    };
    const echo_responders = [{ kind: "stun" as const, address: "203.0.113.99", port: 3478 }];
    const { paths, wan } = site(
      clock,
      { interface: "e0", echo_responders },
      { ip, openSocket: datagrams(clock, () => undefined) },
    );
    paths.start();
    await run(clock, 100);
    expect(wan.localAddress).toBe("2001:db8:7::2");
    expect(asked).toContain("route get 2001:db8::1 from 2001:db8:7::2");
  });
});
