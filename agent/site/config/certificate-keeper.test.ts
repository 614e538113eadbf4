import { expect, test } from "vitest";
import { AlarmBoard } from "../../base/alarms.ts";
import type { CertificateBundle, ReadCertificates } from "../../base/certificates.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import type { ClockQuality } from "../../base/events.ts";
import { silentLog } from "../../base/log.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { CertificateKeeper } from "./certificate-keeper.ts";

const DAY_MS = 86_400_000;
const POLL_MS = 2000;
const CONFIG = {
  certificates: [{ id: "box", certificate_file: "/box.pem", key_file: "/box.key" }],
  lans: [],
  trunks: [],
  pbx_targets: [],
} as unknown as SiteConfig;

const bundle = (version: string): CertificateBundle => ({
  certificates: { box: { certificate_pem: version, key_pem: version } },
  authorities: {},
});

function keeper(options: { lastGood?: CertificateBundle; quality?: ClockQuality } = {}) {
  const clock = new ManualClock();
  const told: string[] = [];
  const alarms = new AlarmBoard(
    () => clock.wall(),
    ({ change, alarm }) => void told.push(`${change} ${alarm.code} ${alarm.subject}: ${alarm.detail}`),
  );
  const files = { signature: "1" };
  const next: { read: ReadCertificates } = { read: { bundle: bundle("1"), faults: [], ends: [] } };
  const changes: CertificateBundle[] = [];
  const made = new CertificateKeeper({
    clock,
    log: silentLog,
    alarms,
    lastGood: options.lastGood,
    clockQuality: () => options.quality ?? "holdover",
    onChange: (changed) => void changes.push(changed),
    read: () => next.read,
    signature: () => files.signature,
  });
  return { clock, told, files, next, changes, made };
}

const broken: ReadCertificates = {
  bundle: { certificates: {}, authorities: {} },
  faults: [{ path: ["certificates", 0, "key_file"], kind: "mismatched", found: "/box.key: another", allowed: "" }],
  ends: [],
};

test("a renewed certificate is taken over once its files have stood for two looks", () => {
  const { clock, files, next, changes, made } = keeper();
  expect(made.follow(CONFIG)).toEqual(bundle("1"));
  files.signature = "half";
  next.read = broken;
  clock.advance(POLL_MS);
  expect(changes).toEqual([]);
  files.signature = "2";
  next.read = { bundle: bundle("2"), faults: [], ends: [] };
  clock.advance(POLL_MS);
  expect(changes).toEqual([]);
  clock.advance(POLL_MS);
  expect(changes).toEqual([bundle("2")]);
  clock.advance(10 * POLL_MS);
  expect(changes).toHaveLength(1);
});

test("one that does not fit raises an alarm while the last good one stays; a good one clears it", () => {
  const { clock, told, files, next, changes, made } = keeper();
  made.follow(CONFIG);
  files.signature = "2";
  next.read = broken;
  clock.advance(2 * POLL_MS);
  expect(changes).toEqual([]);
  expect(told).toEqual([
    expect.stringContaining("raised certificate.unusable certificates.0.key_file: /box.key: another"),
  ]);
  files.signature = "3";
  next.read = { bundle: bundle("3"), faults: [], ends: [] };
  clock.advance(2 * POLL_MS);
  expect(changes).toEqual([bundle("3")]);
  expect(told.at(-1)).toContain("cleared certificate.unusable");
});

test("after a restart with broken files the last snapshot's certificates serve", () => {
  const { next, made } = keeper({ lastGood: bundle("old") });
  next.read = broken;
  expect(made.follow(CONFIG)).toEqual(bundle("old"));
});

test("an end is told 30, 7 and 1 days ahead, and when it has come", () => {
  const { clock, told, next, made } = keeper();
  next.read = { bundle: bundle("1"), faults: [], ends: [{ id: "box", ends_wall: clock.wall() + 40 * DAY_MS }] };
  made.follow(CONFIG);
  expect(told).toEqual([]);
  for (let day = 0; day < 41; day++) clock.advance(DAY_MS);
  const raised = told.filter((line) => line.startsWith("raised"));
  expect(raised.map((line) => /within (.*)\.$/.exec(line)?.[1] ?? line.split(" ")[1])).toEqual([
    "30 days",
    "7 days",
    "a day",
    "certificate.expired",
  ]);
});

test("before the clock was ever set nothing is said of dates", () => {
  const { clock, told, next, made } = keeper({ quality: "unset" });
  next.read = { bundle: bundle("1"), faults: [], ends: [{ id: "box", ends_wall: clock.wall() - DAY_MS }] };
  made.follow(CONFIG);
  expect(told).toEqual([]);
});
