import { describe, expect, test } from "vitest";
import { type ByteStream, fromBytes, keepOpen, memoryCable, toBytes } from "./byte-stream.ts";
import { ManualClock } from "./manual-clock.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("bytes and text", () => {
  test("every byte survives", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(toBytes(fromBytes(bytes))).toEqual(bytes);
  });
});

describe("a cable in memory", () => {
  test("carries bytes and tells the other end of its end, once", () => {
    const clock = new ManualClock();
    const [a, b] = memoryCable(clock);
    const got: string[] = [];
    b.onData((bytes) => got.push(fromBytes(bytes)));
    b.onClose(() => got.push("closed"));
    a.write(toBytes("Q1\r"));
    clock.advance(0);
    a.close();
    a.close();
    a.write(toBytes("late"));
    clock.advance(0);
    expect(got).toEqual(["Q1\r", "closed"]);
  });
});

describe("a device that is kept open", () => {
  function world() {
    const clock = new ManualClock();
    let present = true;
    let device: ByteStream | undefined;
    let attempts = 0;
    const told: string[] = [];
    const standing = keepOpen({
      clock,
      open: async () => {
        attempts++;
        if (!present) throw new Error("no such device");
        const [ours, theirs] = memoryCable(clock);
        device = theirs;
        return ours;
      },
      onOpen: () => told.push("open"),
      onLost: (why) => told.push(why),
    });
    const run = async (ms: number) => {
      for (let done = 0; done < ms; done += 100) {
        clock.advance(100);
        await turn();
      }
    };
    return {
      clock,
      standing,
      told,
      run,
      unplug: () => device?.close(),
      here: (yes: boolean) => {
        present = yes;
      },
      get attempts() {
        return attempts;
      },
    };
  }

  test("is opened again half a second after it was lost", async () => {
    const it = world();
    await it.run(20_000);
    it.unplug();
    await it.run(400);
    expect(it.told).toEqual(["open", "the other end was closed"]);
    await it.run(300);
    expect(it.told).toEqual(["open", "the other end was closed", "open"]);
    it.standing.stop();
    expect(it.clock.pending).toBeLessThanOrEqual(1);
  });

  test("is looked for less and less often while it is away, however long that is", async () => {
    const it = world();
    await it.run(20_000);
    it.here(false);
    it.unplug();
    await it.run(60_000);
    const before = it.attempts;
    await it.run(60_000);
    expect(it.attempts - before).toBe(6);
    it.here(true);
    await it.run(10_000);
    expect(it.told.at(-1)).toBe("open");
    it.standing.stop();
  });

  test("is not opened any more once stopped", async () => {
    const it = world();
    await it.run(100);
    it.standing.stop();
    const before = it.attempts;
    await it.run(60_000);
    expect(it.attempts).toBe(before);
    expect(it.clock.pending).toBe(0);
  });
});
