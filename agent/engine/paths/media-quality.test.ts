import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { initialMedia, type MediaState, mediaQuality, observeMedia, type StreamSample } from "./media-quality.ts";

type Counts = Exclude<keyof StreamSample, "id" | "call_id" | "path">;

/** Calls whose packets are counted on; every tick is two seconds, 100 packets of 20 ms. */
class Bench {
  state: MediaState = initialMedia;
  #at_ms = 0;
  readonly #calls = new Map<string, { -readonly [Count in Counts]: number }>();

  /** One tick in which each call named hears `heard`, loses `lost` and says `said` packets. */
  tick(
    calls: Readonly<Record<string, { heard?: number; lost?: number; said?: number; listens?: number }>>,
    path = "wan",
  ): this {
    this.#at_ms += 2_000;
    const samples: StreamSample[] = Object.entries(calls).map(
      ([call_id, { heard = 0, lost = 0, said = 0, listens = 0 }]) => {
        const none = { packets_in: 0, packets_lost: 0, packets_from_partner: 0, receiver_reports: 0 };
        const counts = this.#calls.get(call_id) ?? none;
        counts.receiver_reports += listens;
        counts.packets_in += heard;
        counts.packets_lost += lost;
        counts.packets_from_partner += said;
        this.#calls.set(call_id, counts);
        return { id: `${call_id}-trunk`, call_id, path, ...counts };
      },
    );
    this.state = observeMedia(this.state, samples, this.#at_ms);
    return this;
  }

  times(count: number, calls: Parameters<Bench["tick"]>[0]): this {
    for (let i = 0; i < count; i++) this.tick(calls);
    return this;
  }

  pass(ms: number): this {
    this.#at_ms += ms;
    return this;
  }

  get quality() {
    return mediaQuality(this.state, "wan");
  }
}

const both = { heard: 100, said: 100 };
const deaf = { said: 100 };

describe("sound on a path", () => {
  test("is not judged without calls", () => {
    expect(new Bench().times(3, {}).quality).toEqual({ loss_percent: undefined, dead: undefined });
  });

  test("of calls that hear and speak is good", () => {
    expect(new Bench().times(10, { a: both, b: both }).quality).toEqual({ loss_percent: 0, dead: undefined });
  });

  test("is dead after two calls that never heard anything, at once or one after the other", () => {
    expect(new Bench().times(4, { a: deaf, b: deaf }).quality.dead).toBe("no sound came back in 2 calls");
    const later = new Bench().times(4, { a: deaf }).times(5, {});
    expect(later.quality.dead).toBeUndefined();
    expect(later.times(4, { b: deaf }).quality.dead).toBe("no sound came back in 2 calls");
  });

  test("is not dead for one call, however long it is silent", () => {
    expect(new Bench().times(500, { a: deaf }).quality.dead).toBeUndefined();
  });

  test("is not dead while anybody is heard", () => {
    expect(new Bench().times(20, { a: deaf, b: deaf, c: both }).quality.dead).toBeUndefined();
  });

  test("is dead when calls fall silent together, not when each has its own hold", () => {
    const together = new Bench().times(5, { a: both, b: both }).times(4, { a: deaf, b: deaf });
    expect(together.quality.dead).toBe("no sound came back in 2 calls");
    const holds = new Bench()
      .times(5, { a: both, b: both })
      .times(5, { a: deaf, b: both })
      .times(20, { a: deaf, b: deaf });
    expect(holds.quality.dead).toBeUndefined();
  });

  test("is not dead when the far ends say that they only listen, as on a hold with music, until they say no more", () => {
    const held = { said: 100, listens: 1 };
    const music = new Bench().times(5, { a: both, b: both });
    for (let n = 0; n < 40; n++) {
      music.times(2, { a: deaf, b: deaf }).tick({ a: held, b: held });
      expect(music.quality.dead).toBeUndefined();
    }
    expect(music.times(12, { a: deaf, b: deaf }).quality.dead).toBe("no sound came back in 2 calls");
    expect(music.tick({ a: held, b: deaf }).quality.dead).toBeUndefined();
  });

  test("is not dead when nobody speaks either: both ends are on hold", () => {
    expect(new Bench().times(5, { a: both, b: both }).times(50, { a: {}, b: {} }).quality.dead).toBeUndefined();
  });

  test("is good again with the first sound that comes, and forgotten when nobody calls", () => {
    const dead = () => new Bench().times(4, { a: deaf, b: deaf });
    expect(dead().tick({ c: both }).quality.dead).toBeUndefined();
    expect(dead().pass(590_000).tick({}).quality.dead).toBeDefined();
    expect(dead().pass(600_000).tick({}).quality.dead).toBeUndefined();
  });

  test("loses what is missing, once enough has come to tell, and only of late", () => {
    const losing = { heard: 80, lost: 20, said: 100 };
    expect(new Bench().times(4, { a: losing }).quality.loss_percent).toBeUndefined();
    const lossy = new Bench().times(6, { a: losing });
    expect(lossy.quality.loss_percent).toBe(20);
    expect(lossy.times(10, { a: both }).quality.loss_percent).toBe(0);
  });

  test("whatever is counted, the memory of it is bounded by the calls and the window", () => {
    const counts = fc.record({ heard: fc.nat(200), lost: fc.nat(50), said: fc.nat(200) });
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.constantFrom("a", "b", "c"), counts), { maxLength: 60 }), (ticks) => {
        const bench = new Bench();
        for (const calls of ticks) bench.tick(calls);
        const sound = bench.state.paths.get("wan");
        expect(sound?.ticks.length ?? 0).toBeLessThanOrEqual(30);
        expect(bench.state.streams.size).toBeLessThanOrEqual(3);
        const { loss_percent } = bench.quality;
        if (loss_percent !== undefined) expect(loss_percent >= 0 && loss_percent <= 100).toBe(true);
      }),
    );
  });
});
