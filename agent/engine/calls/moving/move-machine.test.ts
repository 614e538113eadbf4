import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isBusy, type MoveEffect, type MoveInput, type MoveState, moving, RUNGS, settledOn } from "./move-machine.ts";

function play(inputs: readonly MoveInput[], from: MoveState = settledOn("cloud")) {
  let state = from;
  const effects: MoveEffect[] = [];
  for (const input of inputs) {
    const step = moving(state, input);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects, types: effects.map(({ type }) => type) };
}

const lost: MoveInput = { type: "lost", to: "cloud--lte", rungs: RUNGS };

describe("a running call whose path dies", () => {
  test("is asked over the other path, and its media goes there when the far end agrees", () => {
    const { state, effects } = play([lost, { type: "opened" }, { type: "answered", rung: "reinvite" }]);
    expect(state).toMatchObject({ name: "settled", on: "cloud--lte", lost: false });
    expect(effects).toEqual([
      { type: "open", to: "cloud--lte" },
      { type: "ask", rung: "reinvite", to: "cloud--lte" },
      { type: "learn", rung: "reinvite", outcome: "permitted", status: 200 },
      { type: "use", rung: "reinvite", to: "cloud--lte" },
    ]);
  });

  test("refused on the first rung goes on to the second, and then holds and tells", () => {
    const second = play([lost, { type: "opened" }, { type: "refused", rung: "reinvite", status: 403 }]);
    expect(second.effects.slice(-2)).toEqual([
      { type: "learn", rung: "reinvite", outcome: "refused", status: 403 },
      { type: "ask", rung: "replaces", to: "cloud--lte" },
    ]);
    const third = play([{ type: "refused", rung: "replaces", status: 488 }], second.state);
    expect(third.state.name).toBe("held");
    expect(third.types).toEqual(["learn", "hold"]);
  });

  test("whose far end knows it no more is ended", () => {
    const { state, types } = play([lost, { type: "opened" }, { type: "refused", rung: "reinvite", status: 481 }]);
    expect(state.name).toBe("over");
    expect(types.slice(-2)).toEqual(["drop", "end_phone"]);
  });

  test("met by the far end's own offer waits and asks again, but not for ever", () => {
    const glare: MoveInput[] = [{ type: "refused", rung: "reinvite", status: 491 }, { type: "retry" }];
    const { types } = play([lost, { type: "opened" }, ...glare]);
    expect(types).toEqual(["open", "ask", "wait", "ask"]);
    const endless = play([lost, { type: "opened" }, ...Array.from({ length: 40 }, () => glare).flat()]);
    expect(isBusy(endless.state) && endless.state.rungs[0] === "reinvite").toBe(false);
  });

  test("is taken by a late answer even when it is on hold already", () => {
    const held = play([{ ...lost, rungs: ["reinvite"] }, { type: "opened" }, { type: "silent" }]);
    expect(held.state.name).toBe("held");
    const late = play([{ type: "answered", rung: "reinvite" }], held.state);
    expect(late.state).toMatchObject({ name: "settled", on: "cloud--lte", told: false });
    expect(late.types).toEqual(["learn", "use", "resume"]);
  });

  test("without another way is held, and resumed when its path is back; the far end is asked whether it is there", () => {
    const held = play([{ type: "lost", to: undefined, rungs: RUNGS }]);
    expect(held.types).toEqual(["hold"]);
    const back = play([{ type: "back" }], held.state);
    expect(back.types).toEqual(["drop", "probe", "resume"]);
    expect(back.state).toMatchObject({ name: "settled", on: "cloud", lost: false });
  });

  test("on hold moves as soon as another way comes up", () => {
    const { types, state } = play([
      { type: "lost", to: undefined, rungs: RUNGS },
      { type: "way", to: "cloud--lte", rungs: RUNGS },
      { type: "opened" },
      { type: "answered", rung: "reinvite" },
    ]);
    expect(types).toEqual(["hold", "open", "ask", "learn", "use", "resume"]);
    expect(state.on).toBe("cloud--lte");
  });

  test("moves once: a path that comes back changes nothing, and the other one's death moves it again", () => {
    const moved = play([lost, { type: "opened" }, { type: "answered", rung: "reinvite" }]);
    expect(play([{ type: "back" }], moved.state).effects).toEqual([]);
    const again = play([{ type: "lost", to: "cloud", rungs: RUNGS }], moved.state);
    expect(again.effects).toEqual([{ type: "open", to: "cloud" }]);
  });

  test("always ends settled, held or over once nothing is open, and never rests in silence untold", () => {
    const input = fc.oneof(
      fc.constant<MoveInput>(lost),
      fc.constant<MoveInput>({ type: "lost", to: undefined, rungs: RUNGS }),
      fc.constant<MoveInput>({ type: "back" }),
      fc.constant<MoveInput>({ type: "opened" }),
      fc.constant<MoveInput>({ type: "no_media" }),
      fc.constant<MoveInput>({ type: "silent" }),
      fc.constant<MoveInput>({ type: "retry" }),
      fc.record({ type: fc.constant("answered" as const), rung: fc.constantFrom(...RUNGS) }),
      fc.record({
        type: fc.constant("refused" as const),
        rung: fc.constantFrom(...RUNGS),
        status: fc.constantFrom(403, 408, 488, 491, 503),
      }),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 30 }), (inputs) => {
        const { state } = play(inputs);
        if (state.name === "held") expect(state.told && state.lost).toBe(true);
        if (state.name === "settled") expect(state.lost || state.told).toBe(false);
      }),
    );
  });
});
