import { describe, expect, test } from "vitest";
import type { HealthState } from "../../base/events.ts";
import type { PlayedCall } from "./testing/peers.ts";
import { BOX_LAN, DIRECT, LTE } from "./testing/site.ts";
import { createWorld, type World, type WorldOptions } from "./testing/world.ts";

/**
 * Every cut of the WAN, at every phase of the attempt that goes over it, with everything that a carrier may do: as long as
 * LTE would answer, the caller never hears an error or silence, has one answer, and no leg is left behind.
 */

type Phase = "dialled" | "invited" | "proceeding" | "progressing" | "ringing" | "answered";
const PHASES: readonly Phase[] = ["dialled", "invited", "proceeding", "progressing", "ringing", "answered"];

type Reach = (phase: Phase) => Promise<void>;
type Behaviour = (call: PlayedCall, reach: Reach, world: World) => Promise<void>;

const wait = (world: World, ms: number) => new Promise<void>((resolve) => void world.clock.after(ms, resolve));

/** Ringing is progress: only a cut ends the wait for somebody to take it. */
const RINGS_ON = "rings and never answers";

/** RFC 3261 §13.3.1.4: the 2xx is repeated until its ACK. */
async function answers(call: PlayedCall, world: World, tag?: string): Promise<void> {
  for (
    let ms = 500, passed = 0;
    passed < 32_000 && call.acked === undefined;
    passed += ms, ms = Math.min(2 * ms, 4000)
  ) {
    call.answer(tag);
    await wait(world, ms);
  }
}

const refuses =
  (status: number): Behaviour =>
  async (call, reach) => {
    call.respond(100);
    await reach("proceeding");
    if (!call.cancelled) call.respond(status);
  };

const CARRIERS: Readonly<Record<string, Behaviour>> = {
  "says nothing": async () => {},
  "says 100 and no more": async (call, reach) => {
    call.respond(100);
    await reach("proceeding");
  },
  "rings late and answers": async (call, reach, world) => {
    call.respond(100);
    await reach("proceeding");
    await wait(world, 3000);
    if (!call.cancelled) call.ring();
    await reach("ringing");
    if (!call.cancelled) await Promise.all([answers(call, world), reach("answered")]);
  },
  [RINGS_ON]: async (call, reach) => {
    call.ring();
    await reach("ringing");
  },
  "answers at once": async (call, reach, world) => {
    await Promise.all([answers(call, world), reach("answered")]);
  },
  "sends 183 and then nothing": async (call, reach) => {
    call.early();
    await reach("progressing");
  },
  "sends early media and answers": async (call, reach, world) => {
    call.early();
    await reach("progressing");
    await Promise.all([answers(call, world), reach("answered")]);
  },
  "answers after the CANCEL": async (call, reach, world) => {
    call.peer.ignoresCancel = true;
    call.respond(100);
    await reach("proceeding");
    for (let n = 0; n < 3000 && !call.cancelled; n++) await wait(world, 10);
    await answers(call, world);
  },
  "forks, and both answer": async (call, reach, world) => {
    call.respond(180, {}, "fork-a");
    call.respond(180, {}, "fork-b");
    await reach("ringing");
    if (call.cancelled) return;
    call.answer("fork-b");
    await Promise.all([answers(call, world, "fork-a"), reach("answered")]);
  },
  ...Object.fromEntries([302, 407, 424, 486, 503].map((status) => [`says ${status}`, refuses(status)])),
};

interface Cut {
  /** The carrier's trunk is spoken to over TCP. */
  readonly tcp?: boolean;
  make(world: World): void;
  /** What the path's own witnesses say of it, and when (ms after). */
  readonly verdicts: readonly (readonly [after_ms: number, state: HealthState])[];
  /** Phases in which only a verdict can tell it: a carrier may ring for long. */
  readonly blind?: readonly Phase[];
}

const noticed: Cut["verdicts"] = [
  [250, "suspect"],
  [1000, "down"],
];
const blackHole = (world: World) => world.network.setPaths(BOX_LAN, DIRECT, { cut: "black-hole" });

const CUTS: Readonly<Record<string, Cut>> = {
  "a black hole": { make: blackHole, verdicts: noticed },
  "a black hole that nobody notices": { make: blackHole, verdicts: [], blind: ["ringing", "progressing"] },
  "the way back lost": { make: (world) => world.mute(world.direct, true), verdicts: noticed },
  "no route": {
    make: (world) => {
      blackHole(world);
      world.network.setPath(BOX_LAN, DIRECT, { cut: { error: "ENETUNREACH" } });
    },
    verdicts: [[0, "down"]],
  },
  "its TCP connection reset": {
    tcp: true,
    make: (world) => world.network.resetConnections(BOX_LAN, DIRECT),
    verdicts: [],
    blind: ["dialled"],
  },
};

const ENDS = new Set(["answered", "released", "refused", "late_answer_released", "send_error", "no_response"]);

const overTcp: Required<WorldOptions>["trunks"] = ({ wan, lte }) => [
  { id: "direct", path: wan, remote: DIRECT, local_port: 0, protocol: "tcp", roles: ["emergency"] },
  { id: "lte-trunk", path: lte, remote: LTE, local_port: 5070 },
];

async function play(cut: Cut, phase: Phase, behaviour: Behaviour): Promise<void> {
  const world = await createWorld(cut.tcp === true ? { trunks: overTcp } : undefined);
  world.relay.silent.add("*");
  let made = false;
  const reach: Reach = async (reached) => {
    await wait(world, 20);
    if (reached !== phase || made) return;
    made = true;
    cut.make(world);
    for (const [after_ms, state] of cut.verdicts) {
      world.clock.after(after_ms, () => world.verdict(world.wan, state));
    }
  };
  world.direct.script = async (call) => {
    await reach("invited");
    await behaviour(call, reach, world);
  };
  world.lte.script = async (call) => {
    call.ring();
    await wait(world, 100);
    if (!call.cancelled) call.answer();
  };
  if (phase === "dialled") {
    const cutting = reach("dialled");
    await world.advance(20);
    await cutting;
  }
  const call = world.dial("911");
  await world.advance(16_000);
  expect(call.statuses.filter((status) => status >= 200)).toEqual([200]);
  expect(world.calls.status()).toMatchObject([{ kind: "emergency", state: "answered" }]);

  world.network.setPaths(BOX_LAN, DIRECT, { cut: "none" });
  world.mute(world.direct, false);
  world.verdict(world.wan, "up");
  await world.advance(2000);
  const [bye] = await Promise.all([call.send("BYE"), world.advance(40)]);
  expect(bye.status).toBe(200);
  await world.advance(80_000);
  for (const leg of [...world.direct.calls, ...world.lte.calls]) {
    // What a carrier says whose connection is gone cannot reach the box any more.
    if (cut.tcp === true && leg.peer === world.direct) continue;
    if (leg.dialog !== undefined) expect([leg.acks > 0, leg.bye !== undefined]).toEqual([true, true]);
  }
  const records = world.events_of("emergency.attempt");
  for (const attempt of new Set(records.map((each) => each.attempt))) {
    expect(records.some((each) => each.attempt === attempt && ENDS.has(each.outcome))).toBe(true);
  }
  expect(records.filter(({ outcome }) => outcome === "answered")).toHaveLength(1);
  expect(world.events_of("emergency.ended")).toHaveLength(1);
  expect([world.relay.endpoints.size, world.clock.pending]).toEqual([0, 0]);
}

describe.each(Object.entries(CUTS))("with %s", (_, cut) => {
  describe.each(PHASES.filter((each) => !cut.blind?.includes(each)))("when it is %s", (phase) => {
    const carriers = Object.entries(CARRIERS).filter(([name]) => {
      const cuts = phase === "dialled" || phase === "invited" || phase === "ringing";
      return name !== RINGS_ON || cuts;
    });
    test.each(carriers)("and the carrier %s, the caller is answered once", async (_, behaviour) => {
      await play(cut, phase, behaviour);
    });
  });
});
