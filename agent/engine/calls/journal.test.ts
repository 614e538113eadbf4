import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { silentLog } from "../../base/log.ts";
import { mediaSide } from "./call-media.ts";
import { CallJournal, type CallRecord, type KeptAttempt } from "./journal.ts";

const leg = (token: string) => ({
  token,
  contact: `sip:${token}@10.0.0.1:5060`,
  dialog: {
    callId: "c",
    localTag: "l",
    remoteTag: "r",
    local: "<sip:a@b>",
    remote: "<sip:c@d>",
    remoteTarget: "sip:c@d",
    routeSet: [],
    secure: false,
    state: "confirmed" as const,
  },
  destination: { protocol: "udp" as const, address: "10.0.0.2", port: 5060 },
});
const record = (id: string, kind: CallRecord["kind"]): CallRecord => ({
  v: 1,
  id,
  kind,
  started_wall: 1,
  started_ms: 1,
  answered_wall: 2,
  answered_ms: 2,
  trunk: "t",
  path: "p",
  data: { direction: "outbound", caller: "101", callee: "911", trunk: "t", path: "p" },
  emergency: undefined,
  caller: { leg: leg("x"), side: mediaSide("caller", "10.0.0.1", "10.0.0.2") },
  callee: { leg: leg("y"), side: mediaSide("callee", "10.0.0.1", "10.0.0.3") },
  caller_sdp: undefined,
});
const folder = () => join(mkdtempSync(join(tmpdir(), "holdfast-journal-")), "calls");

describe("the journal of answered calls", () => {
  test("gives back what was saved, emergency calls first, and not what was removed", () => {
    const dir = folder();
    const journal = new CallJournal(dir, silentLog);
    journal.save(record("a1", "outbound"));
    journal.save(record("b2", "emergency"));
    journal.save(record("c3", "inbound"));
    journal.remove("c3");
    const { calls } = new CallJournal(dir, silentLog).load();
    expect(calls.map(({ id }) => id)).toEqual(["b2", "a1"]);
    expect(calls[1]).toEqual(JSON.parse(JSON.stringify(record("a1", "outbound"))));
  });

  test("a half-written or foreign file is left out, and the others count", () => {
    const dir = folder();
    const journal = new CallJournal(dir, silentLog);
    journal.save(record("a1", "emergency"));
    writeFileSync(join(dir, "call-bad.json"), '{"v":1,"id":"bad"');
    writeFileSync(join(dir, "call-old.json"), '{"v":0,"id":"old"}');
    writeFileSync(join(dir, "call-new.json.new"), "{}");
    writeFileSync(join(dir, "callbacks.json"), '[1,{"presented_number":"+1","until_wall":5}]');
    const loaded = journal.load();
    expect(loaded.calls.map(({ id }) => id)).toEqual(["a1"]);
    expect(loaded.callbacks).toHaveLength(1);
  });

  test("a folder that cannot be written does not stop a call", () => {
    const dir = folder();
    writeFileSync(dir, "a file where the folder should be");
    const journal = new CallJournal(dir, silentLog);
    journal.save(record("a1", "emergency"));
    journal.remove("a1");
    expect(journal.load()).toEqual({ calls: [], unanswered: [], invites: [], starts: [], attempts: [], callbacks: [] });
  });

  test("knows the calls that were begun and neither answered nor ended", () => {
    const dir = folder();
    const journal = new CallJournal(dir, silentLog);
    for (const id of ["a1", "b2", "c3"]) journal.begin(id);
    journal.save(record("a1", "emergency"));
    journal.remove("c3");
    expect(journal.load()).toMatchObject({ calls: [{ id: "a1" }], unanswered: ["b2"] });
  });

  test("keeps the INVITE of an emergency call that was not answered", () => {
    const dir = folder();
    const journal = new CallJournal(dir, silentLog);
    const end = { address: "10.0.0.1", port: 5060 };
    const invite = { v: 1, began_ms: 5, message: "SU5WSVRF", local: end, remote: end } as const;
    journal.begin("a1", invite);
    journal.begin("b2");
    journal.begin("c3", invite);
    journal.save(record("c3", "emergency"));
    expect(journal.load()).toMatchObject({ unanswered: ["a1", "b2"], invites: [invite] });
  });

  test("keeps what was sent for a call that has no answer, but not the leg of an answered one", () => {
    const dir = folder();
    const journal = new CallJournal(dir, silentLog);
    const kept = (call_id: string, attempt: number, token: string): KeptAttempt => ({
      ...{ v: 1, call_id, caller_call_id: "c", attempt, trunk: "t", path: "p", emergency: true, sent_ms: 5 },
      ...{ message: "SU5WSVRF", destination: leg("x").destination, proceeding: true, token, contact: "sip:x@y" },
    });
    for (const attempt of [kept("a1", 1, "k"), kept("a1", 2, "m"), kept("b2", 1, "y")]) journal.keepAttempt(attempt);
    // Died between the record and the forgetting: the record's callee leg is this one.
    journal.save(record("b2", "emergency"));
    journal.forgetAttempt("a1", 2);
    expect(journal.load().attempts).toEqual([kept("a1", 1, "k")]);
  });

  test("nothing half written is left beside", () => {
    const dir = folder();
    const journal = new CallJournal(dir, silentLog);
    journal.save(record("a1", "emergency"));
    journal.save(record("a1", "emergency"));
    expect(readdirSync(dir)).toEqual(["call-a1.json"]);
  });
});
