import { describe, expect, test } from "vitest";
import type { Alarm } from "../../base/alarms.ts";
import type { Freshness, StatusDocument } from "../../base/status.ts";
import { forgottenAlarms, type OpenAlarm } from "./forgotten-alarms.ts";

const NOW = 1_800_000_000_000;
const fresh: Freshness = { fresh: true, unknown_since_wall: undefined };
const silent: Freshness = { fresh: false, unknown_since_wall: NOW - 9000 };

function document(alarms: readonly Alarm[], engine = fresh, cellular = fresh): StatusDocument {
  const processes = { engine, media: fresh, cellular, site: fresh };
  return { now_wall: NOW, processes, alarms } as unknown as StatusDocument;
}

const open = (subject: string, raised_ago_ms = 60_000): OpenAlarm => ({
  code: "path.down",
  subject,
  severity: "major",
  detail: "",
  raised_wall: NOW - raised_ago_ms,
});

const held: Alarm = { code: "path.down", subject: "wan", severity: "major", detail: "", since_wall: NOW };

describe("alarms that nobody holds any more", () => {
  test("are those on record that no process's status names", () => {
    expect(forgottenAlarms([open("wan"), open("lte")], document([held]), true)).toEqual([open("lte")]);
  });

  test("are not called over while a process is silent", () => {
    expect(forgottenAlarms([open("lte")], document([], silent), true)).toEqual([]);
    expect(forgottenAlarms([open("lte")], document([], fresh, silent), true)).toEqual([]);
    expect(forgottenAlarms([open("lte")], document([], fresh, silent), false)).toEqual([open("lte")]);
  });

  test("are given the time their process needs to say them", () => {
    expect(forgottenAlarms([open("lte", 1000)], document([]), true)).toEqual([]);
  });
});
