import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { onLink, readLink, readNeighbour, readRoute, UNKNOWN_FACTS } from "./link-facts.ts";
import { judgeLink } from "./link-watcher.ts";

const answer = (json: unknown) => ({ ok: true as const, json });
const failure = (error: string) => ({ ok: false as const, error });
const LINK = {
  ifname: "e0",
  flags: ["BROADCAST", "UP", "LOWER_UP"],
  operstate: "UP",
  addr_info: [
    { family: "inet", local: "10.1.1.2", prefixlen: 24, scope: "global" },
    { family: "inet6", local: "fe80::1", prefixlen: 64, scope: "link" },
  ],
};

describe("what the kernel says of a link", () => {
  test("is a carrier, its addresses, and never a link-local one", () => {
    expect(readLink(answer([{}, LINK]))).toEqual({
      present: true,
      carrier: true,
      operstate: "UP",
      addresses: [{ address: "10.1.1.2", prefix: 24 }],
    });
    expect(readLink(answer([{ ...LINK, flags: ["NO-CARRIER", "UP"] }])).carrier).toBe(false);
  });

  test("that it does not exist is a fact; that it cannot be asked is none", () => {
    expect(readLink(failure('Device "e0" does not exist.')).present).toBe(false);
    expect(readLink(failure("ip cannot be asked")).present).toBeUndefined();
  });

  test("is no route when packets would leave by another interface", () => {
    expect(readRoute(answer([{ dev: "l0", gateway: "198.51.100.1" }]), "e0")).toMatchObject({
      route: false,
      route_detail: "packets would leave by l0",
    });
    expect(readRoute(answer([{ dev: "e0", gateway: "10.1.1.1" }]), "e0")).toMatchObject({
      route: true,
      gateway: "10.1.1.1",
    });
    expect(readRoute(failure("RTNETLINK answers: Network is unreachable\n"), "e0")).toMatchObject({
      route: false,
      route_detail: "Network is unreachable",
    });
  });

  test("names the gateway's neighbour state", () => {
    expect(readNeighbour(answer([{ dst: "10.1.1.1", state: ["FAILED"] }]), "10.1.1.1")).toBe("FAILED");
    expect(readNeighbour(answer([]), "10.1.1.1")).toBeUndefined();
  });

  test("is judged usable only with carrier, address and route", () => {
    const good = { ...UNKNOWN_FACTS, ...readLink(answer([LINK])), route: true };
    expect(judgeLink(good, undefined).usable).toBe(true);
    expect(judgeLink({ ...good, carrier: false }, undefined)).toMatchObject({ source: "carrier", usable: false });
    expect(judgeLink(good, "10.9.9.9")).toMatchObject({ source: "address", usable: false });
    expect(judgeLink({ ...good, route: false, route_detail: "x" }, undefined)).toMatchObject({ source: "route" });
    expect(judgeLink(UNKNOWN_FACTS, undefined).usable).toBeUndefined();
  });

  test("tells what lies in the path's own network", () => {
    const own = [{ address: "10.1.1.2", prefix: 24 }];
    expect(onLink("10.1.1.53", own)).toBe(true);
    expect(onLink("10.1.2.53", own)).toBe(false);
    expect(onLink("2001:db8::35", [{ address: "2001:db8::1", prefix: 64 }])).toBe(true);
    expect(onLink("nonsense", own)).toBe(false);
  });
});

const namespaces =
  spawnSync("unshare", ["-Urn", "ip", "link", "add", "e0", "type", "veth", "peer", "name", "e1"]).status === 0;

/** A path on a real interface in a namespace of its own; prints each verdict with its time after the last command. */
const PROGRAM = `
import { execFileSync } from "node:child_process";
import { systemClock as clock } from "${import.meta.dirname}/../../base/clock.ts";
import { AlarmBoard } from "${import.meta.dirname}/../../base/alarms.ts";
import { createEventFactory } from "${import.meta.dirname}/../../base/events.ts";
import { silentLog } from "${import.meta.dirname}/../../base/log.ts";
import { SitePaths } from "${import.meta.dirname}/site-paths.ts";
const path = { id: "wan", kind: "wan", interface: "e0", address: "10.1.1.2", gateway: "10.1.1.1", dns_servers: [], echo_responders: [] };
const config = { paths: [path], failover: { hold_down_ms: 1000, hold_down_max_ms: 1000 } };
const told = [];
const paths = new SitePaths({
  config, clock, log: silentLog, record: () => {},
  alarms: new AlarmBoard(clock.wall, () => {}),
  events: createEventFactory(clock, () => ({ org: "o", site: "s", box: "b", boot_id: "x", practice: false }), () => "unset"),
});
paths.onChange((changed) => told.push([changed.health.state, clock.now()]));
paths.start();
const wan = paths.get("wan");
const until = async (state) => {
  const deadline = clock.now() + 5000;
  while (wan.health.state !== state) {
    if (clock.now() > deadline) throw new Error(state + " never came: " + JSON.stringify(wan.health));
    await new Promise((go) => setTimeout(go, 5));
  }
};
const after = async (command, state) => {
  const before = clock.now();
  execFileSync("sh", ["-c", command]);
  const ran = clock.now();
  await until(state);
  const [last, at] = told.at(-1);
  console.log(JSON.stringify({ state: last, after_ms: at - ran, within_ms: at - before, evidence: wan.health.evidence.find((item) => item.verdict === "bad")?.detail }));
};
await new Promise((go) => setTimeout(go, 300));
const again = () => wan.heard("trunk t", "options", clock.now(), "answered");
again();
await until("up");
await after("ip link set e1 down", "down");
execFileSync("sh", ["-c", "ip link set e1 up"]);
const back = setInterval(again, 100);
await until("up");
clearInterval(back);
await after("ip rule del from 10.1.1.2 && ip route del default", "down");
paths.close();
`;

describe.skipIf(!namespaces)("a path on a real interface", () => {
  test("is down by the event of losing its carrier, and of losing its route, before any probe could tell", () => {
    const setup = `set -e
      ip link set lo up; ip link add e0 type veth peer name e1
      ip addr add 10.1.1.2/24 dev e0; ip link set e0 up; ip link set e1 up
      ip route add default via 10.1.1.1 dev e0
      ip rule add from 10.1.1.2 lookup 201; ip route add default via 10.1.1.1 dev e0 table 201
      sleep 0.2
      exec ${process.execPath} --input-type=module -e "$PROGRAM"`;
    const ran = spawnSync("unshare", ["-Urn", "sh", "-c", setup], {
      encoding: "utf8",
      env: { ...process.env, PROGRAM },
    });
    expect(ran.stderr.replace(/^.*Warning.*\n?/gm, "")).toBe("");
    const [carrier, route] = ran.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { state: string; after_ms: number; within_ms: number; evidence: string });
    expect(carrier).toMatchObject({ state: "down", evidence: "no carrier" });
    expect(route).toMatchObject({ state: "down", evidence: "no route: Network is unreachable" });
    // Nothing is probed here: only the event can have told. How soon it does is a figure of the bench.
    console.log(
      `carrier lost: down ${carrier?.after_ms.toFixed(1)} ms after; route lost: ${route?.after_ms.toFixed(1)} ms`,
    );
  }, 20_000);
});
