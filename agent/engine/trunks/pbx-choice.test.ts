import { describe, expect, test } from "vitest";
import type { HealthState } from "../../base/events.ts";
import { NO_CHOICE, type PbxChoice, type PbxChoiceInput, pbxChoice, pbxOrder } from "./pbx-choice.ts";

type Unstamped<T> = T extends PbxChoiceInput ? Omit<T, "at_ms" | "may_return"> : never;

class Bench {
  state: PbxChoice = NO_CHOICE;
  may_return = true;
  readonly chosen: [number, string | undefined][] = [];
  #wake: number | undefined;
  readonly #machine = pbxChoice({ hold_down_ms: 30_000, hold_down_max_ms: 600_000 });

  at(at_ms: number, ...states: HealthState[]): this {
    while (this.#wake !== undefined && this.#wake <= at_ms) {
      const due = this.#wake;
      this.#wake = undefined;
      this.#feed(due, { kind: "timeout" });
    }
    if (states.length > 0) {
      this.#feed(at_ms, { kind: "facts", facts: states.map((state, i) => ({ id: `pbx${i + 1}`, state })) });
    }
    return this;
  }

  #feed(at_ms: number, input: Unstamped<PbxChoiceInput>): void {
    const { state, effects } = this.#machine(this.state, { ...input, at_ms, may_return: this.may_return });
    this.state = state;
    for (const effect of effects) {
      if (effect.do === "wake_at") this.#wake = effect.at_ms;
      else this.chosen.push([at_ms, effect.to]);
    }
  }
}

describe("the PBX target in use", () => {
  test("is the first that can be reached, and the next at once when it is down", () => {
    const bench = new Bench().at(0, "up", "up").at(1_000, "suspect", "up").at(4_000, "down", "up");
    expect(bench.chosen).toEqual([
      [0, "pbx1"],
      [4_000, "pbx2"],
    ]);
  });

  test("in doubt new work asks a target that is proven good before it", () => {
    const bench = new Bench().at(0, "up", "up").at(1_000, "suspect", "up");
    expect(pbxOrder(bench.state)).toEqual(["pbx2", "pbx1"]);
    expect(bench.state.current).toBe("pbx1");
  });

  test("goes back after the hold-down, counted anew after each lapse", () => {
    const bench = new Bench().at(0, "up", "up").at(1_000, "down", "up").at(10_000, "up", "up");
    bench.at(30_000, "suspect", "up").at(32_000, "up", "up").at(100_000);
    expect(bench.chosen.slice(2)).toEqual([[62_000, "pbx1"]]);
  });

  test("waits for the site's policy", () => {
    const bench = new Bench().at(0, "up", "up").at(1_000, "down", "up");
    bench.may_return = false;
    bench.at(10_000, "up", "up").at(99_000);
    expect(bench.state.current).toBe("pbx2");
    bench.may_return = true;
    bench.at(106_000);
    expect(bench.state.current).toBe("pbx1");
  });

  test("does not wait for a policy when the one in use dies", () => {
    const bench = new Bench().at(0, "up", "up").at(1_000, "down", "up");
    bench.may_return = false;
    bench.at(10_000, "up", "up").at(11_000, "up", "down");
    expect(bench.state.current).toBe("pbx1");
  });

  test("each failure soon after a return doubles the wait", () => {
    const bench = new Bench().at(0, "up", "up");
    const waits: number[] = [];
    let t = 1_000;
    for (let n = 0; n < 3; n++) {
      bench
        .at(t, "down", "up")
        .at(t + 1_000, "up", "up")
        .at(t + 600_000);
      const [back] = bench.chosen.at(-1) ?? [0];
      waits.push(back - t - 1_000);
      t = back + 1_000;
    }
    expect(waits).toEqual([30_000, 60_000, 120_000]);
  });

  test("is none when all are down, and whichever comes first", () => {
    const bench = new Bench().at(0, "up", "up").at(1_000, "down", "down").at(2_000, "down", "unknown");
    expect(bench.chosen.slice(1)).toEqual([
      [1_000, undefined],
      [2_000, "pbx2"],
    ]);
    expect(pbxOrder(bench.state)).toEqual(["pbx2"]);
  });
});
