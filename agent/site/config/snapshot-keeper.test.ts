import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requireConfig } from "../../base/config/load.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { readSnapshot } from "../../base/snapshot.ts";
import { SnapshotKeeper } from "./snapshot-keeper.ts";

const config = requireConfig(new URL("../../../tests/fixtures/site.yaml", import.meta.url).pathname);
let folder: string;
let file: string;
let clock: ManualClock;
let faults: (string | undefined)[];

const keep = (practice = false) =>
  new SnapshotKeeper({ file, practice, clock, onFault: (detail) => faults.push(detail) });
const callbacks = (n: number) => ({
  bindings: [],
  callbacks: Array.from({ length: n }, (_, i) => ({
    call_id: `c${i}`,
    extension: undefined,
    aor: undefined,
    presented_number: "+13035550100",
    trunk: "t",
    started_wall: 1,
    until_wall: 2,
  })),
});
const onDisk = (practice = false) => {
  const found = readSnapshot(file, practice);
  return "snapshot" in found ? found.snapshot : undefined;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "snapshot-"));
  file = join(folder, "snapshot.json");
  clock = new ManualClock();
  faults = [];
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the snapshot", () => {
  test("has a new config at once", () => {
    keep().configIs(config);
    expect(onDisk()?.config.site.id).toBe("denver");
  });

  test("has bindings at most every two seconds, and always the last ones", () => {
    const keeper = keep();
    keeper.configIs(config);
    const writes = new Set([statSync(file).ino]);
    for (let i = 1; i <= 50; i++) {
      keeper.bindingsAre(callbacks(i));
      clock.advance(100);
      writes.add(statSync(file).ino);
    }
    clock.advance(2000);
    expect(onDisk()?.callbacks).toHaveLength(50);
    keeper.bindingsAre(callbacks(3));
    keeper.close();
    expect(onDisk()?.callbacks).toHaveLength(3);
    expect(clock.pending).toBe(0);
  });

  test("keeps with the bindings by which clock they were written, and the key of their tokens, whatever the clock says now", () => {
    const keeper = keep();
    keeper.configIs(config);
    keeper.bindingsAre({ ...callbacks(1), written_wall: 77, token_key: "a2V5" });
    clock.setWall(clock.wall() + 86_400_000);
    keeper.configIs(config);
    keeper.close();
    expect(onDisk()).toMatchObject({ bindings_wall: 77, token_key: "a2V5" });
    expect(keep().snapshot?.token_key).toBe("a2V5");
  });

  test("keeps the bindings of the last run when the config comes anew", () => {
    const first = keep();
    first.configIs(config);
    first.bindingsAre(callbacks(2));
    first.close();
    const second = keep();
    expect(second.lastGood?.site.id).toBe("denver");
    second.configIs(config);
    expect(onDisk()?.callbacks).toHaveLength(2);
  });

  test("of a practice is not the base of a real site", () => {
    keep(true).configIs(config);
    expect(onDisk(true)).toBeDefined();
    expect(onDisk(false)).toBeUndefined();
    expect(keep(false).lastGood).toBeUndefined();
  });

  test("of a real site is not the base of a practice", () => {
    keep(false).configIs(config);
    expect(onDisk(true)).toBeUndefined();
    expect(keep(true).lastGood).toBeUndefined();
  });

  test("of a site file that is not live opens no real trunk", () => {
    keep(false).configIs({ ...config, live: false });
    expect(readSnapshot(file, false)).toEqual({ broken: expect.stringContaining("live: true") });
  });

  test("that cannot be written is reported once and tried again until it can", () => {
    mkdirSync(`${file}.new`);
    const keeper = keep();
    keeper.configIs(config);
    clock.advance(10_000);
    expect(faults).toHaveLength(1);
    rmSync(`${file}.new`, { recursive: true });
    clock.advance(2000);
    expect(faults).toEqual([expect.any(String), undefined]);
    expect(onDisk()).toBeDefined();
  });
});
