import { describe, expect, test } from "vitest";
import { eventFixture, statusFixture } from "../testing/status-fixture.ts";
import { readBeat, readEvent, readEvents, readStatus } from "./read.ts";

describe("what comes over the line", () => {
  test("a whole status document is taken", () => {
    const status = statusFixture();
    expect(readStatus(JSON.stringify(status))).toEqual({ status: JSON.parse(JSON.stringify(status)) });
  });

  test.each([
    "",
    "{",
    "null",
    "[]",
    '"status"',
    '{"v":1}',
    '{"v":0}',
    JSON.stringify({ ...statusFixture(), alarms: {} }),
  ])("%j is no status", (text) => {
    expect(readStatus(text)).toEqual({ fault: "broken" });
  });

  test("a document of a later form is told apart, so that the page can ask to be loaded again", () => {
    expect(readStatus(JSON.stringify({ ...statusFixture(), v: 2 }))).toEqual({ fault: "too_new" });
  });

  test("events that are none are left out", () => {
    const event = eventFixture(1, "config.applied", { config_hash: "a" });
    expect(readEvents(JSON.stringify([event, null, 5, { id: "x" }]))).toHaveLength(1);
    expect(readEvents('{"error":"rate"}')).toBeUndefined();
    expect(readEvent(JSON.stringify(event))?.seq).toBe(1);
    expect(readEvent("<html>")).toBeUndefined();
  });

  test("beats", () => {
    expect(readBeat('{"now_wall":5,"seq":7}')).toEqual({ now_wall: 5, seq: 7 });
    expect(readBeat("{}")).toBeUndefined();
  });
});
