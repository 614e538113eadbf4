import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import type { Binding } from "../../base/snapshot.ts";
import { Homecomers, type Homecoming, type StuckPhone } from "./homecoming.ts";

const STUCK_S = 90;

function binding(n: number, changes: Partial<Binding> = {}): Binding {
  return {
    aor: `sip:10${n}@pbx.example`,
    contact: `sip:10${n}@10.20.0.10${n}`,
    contact_params: "",
    call_id: "c",
    cseq: 1,
    expires_wall: 0,
    transport: "udp",
    source_address: `10.20.0.10${n}`,
    source_port: 5060,
    local_address: "10.20.0.5",
    local_port: 5060,
    instance: undefined,
    user_agent: "Phone",
    trust: "full",
    cloud_accepted_wall: undefined,
    held_since_wall: 5,
    flow_token: `t${n}`,
    ...changes,
  };
}

/** After an outage in which three phones registered with the box. */
function returned() {
  const clock = new ManualClock();
  const stuck: StuckPhone[] = [];
  const home: [string, number][] = [];
  const results: Homecoming[] = [];
  const homecomers = new Homecomers({
    clock,
    bindings: () => [binding(1), binding(2), binding(3), binding(4, { held_since_wall: undefined })],
    stuckAfter_ms: () => STUCK_S * 1000,
    onStuck: (phone) => void stuck.push(phone),
    onHome: ({ aor }, after_ms) => void home.push([aor, after_ms]),
    onReturned: (result) => void results.push(result),
  });
  homecomers.modeIs("survivable");
  homecomers.modeIs("normal");
  const isHome = (n: number, changes: Partial<Binding> = {}) =>
    homecomers.bindingChanged({
      kind: "refreshed",
      binding: binding(n, { held_since_wall: undefined, ...changes }),
    });
  const pass = (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      clock.advance(1000);
      homecomers.sweep();
    }
  };
  return { homecomers, stuck, home, results, isHome, pass };
}

describe("the return to the cloud", () => {
  test("is over when the last phone is home, and tells how long that took", () => {
    const { results, stuck, isHome, pass } = returned();
    for (const n of [1, 2, 3]) {
      pass(10 * n);
      isHome(n);
    }
    expect(results).toEqual([{ phones: 3, home: 3, slowest_ms: 60_000 }]);
    pass(STUCK_S);
    expect(stuck).toEqual([]);
    expect(results).toHaveLength(1);
  });

  test("a phone that says nothing is stuck, told once, listed until it is home", () => {
    const { homecomers, results, stuck, home, isHome, pass } = returned();
    isHome(1);
    isHome(2);
    pass(STUCK_S + 30);
    expect(stuck).toMatchObject([{ binding: { aor: "sip:103@pbx.example" }, why: "silent" }]);
    expect(results).toEqual([{ phones: 3, home: 2, slowest_ms: 0 }]);
    expect(homecomers.stuck()).toHaveLength(1);
    isHome(3);
    expect(home).toEqual([["sip:103@pbx.example", 120_000]]);
    expect(homecomers.stuck()).toEqual([]);
  });

  test("one whose registration with the box lapses is not home by that; one that signs off is no one to wait for", () => {
    const { homecomers, results, pass } = returned();
    homecomers.bindingChanged({ kind: "removed", binding: binding(1), reason: "expired" });
    homecomers.bindingChanged({ kind: "removed", binding: binding(2), reason: "unregistered" });
    pass(STUCK_S);
    expect(homecomers.stuck().map(({ binding: { aor } }) => aor)).toEqual([
      "sip:101@pbx.example",
      "sip:103@pbx.example",
    ]);
    expect(results).toEqual([{ phones: 2, home: 0, slowest_ms: undefined }]);
  });

  test("why: the cloud refuses, with its status; or does not answer, so that the box did again", () => {
    const { homecomers, pass } = returned();
    homecomers.refused("sip:101@pbx.example", "10.20.0.101", 403);
    homecomers.refused("sip:102@pbx.example", "10.20.0.66", 403);
    homecomers.bindingChanged({ kind: "refreshed", binding: binding(2) });
    pass(STUCK_S);
    expect(homecomers.stuck().map(({ why, sip_status }) => [why, sip_status])).toEqual([
      ["refused", 403],
      ["unanswered", undefined],
      ["silent", undefined],
    ]);
  });

  test("a phone that comes home by another contact is home: by its instance, else by its address", () => {
    const { homecomers, isHome, pass } = returned();
    isHome(1, { contact: "sip:101@10.20.0.101:5099", source_port: 5099 });
    pass(STUCK_S);
    expect(homecomers.stuck().map(({ binding: { aor } }) => aor)).not.toContain("sip:101@pbx.example");
  });

  test("the next outage ends the waiting, and a phone that the box takes in alone in normal mode is waited for too", () => {
    const { homecomers, stuck, pass } = returned();
    homecomers.modeIs("survivable");
    pass(STUCK_S);
    expect(stuck).toEqual([]);
    homecomers.modeIs("normal");
    homecomers.bindingChanged({ kind: "added", binding: binding(5) });
    pass(STUCK_S);
    expect(stuck).toHaveLength(4);
  });
});
