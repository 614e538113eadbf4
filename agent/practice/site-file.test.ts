import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfig } from "../base/config/load.ts";
import { isLoopback } from "../base/practice-guard.ts";
import { accountsIn, SOFTPHONES, trunkPasswordIn, USERS } from "./accounts.ts";
import { practiceCard } from "./card.ts";
import { placesOf } from "./places.ts";
import { practiceSiteFile } from "./site-file.ts";

const folder = mkdtempSync(join(tmpdir(), "practice-"));
afterAll(() => rmSync(folder, { recursive: true }));

const accounts = accountsIn(folder);
const text = practiceSiteFile({
  places: placesOf(3),
  accounts,
  carrierPassword: "secret",
  lans: [{ address: "127.0.0.1", subnet: "127.0.0.0/8", port: 5061 }],
  web: { port: 8081 },
  ports: { pbx: 5060, wanCarrier: 5060, lteCarrier: 5060, stun: 3478, wanBroker: 1883, lteBroker: 1883 },
  boxPorts: { pbx: 5062, wan: 5072, lte: 5082 },
  modem: "/dev/pts/7",
  ups: undefined,
});

describe("the practice site file", () => {
  test("is good, and not live", () => {
    const file = join(folder, "site.yaml");
    writeFileSync(file, text);
    const loaded = loadConfig(file);
    expect(loaded).toMatchObject({ ok: true, config: { live: false, org: { id: "practice" } } });
    if (!loaded.ok) return;
    expect(loaded.config.extensions.map(({ number }) => number)).toEqual([...USERS]);
    expect(loaded.config.modems).toHaveLength(1);
    expect(loaded.config.ups).toEqual([]);
  });

  test("names no address that is not loopback", () => {
    const addresses = text.match(/\b\d{1,3}(\.\d{1,3}){3}\b/g) ?? [];
    expect(addresses.length).toBeGreaterThan(8);
    expect(addresses.filter((address) => !isLoopback(address))).toEqual([]);
  });

  test("holds no password of a phone, only what proves it", () => {
    for (const password of accounts.values()) expect(text).not.toContain(password);
  });

  test("says PRACTICE in every name that people read", () => {
    const names = [...text.matchAll(/^\s*(?:- )?(?:name|label): (.*)$/gm)].map(([, name]) => name ?? "");
    expect(names.length).toBeGreaterThan(8);
    expect(names.filter((name) => !name.includes("PRACTICE"))).toEqual([]);
  });
});

test("accounts stay the same from start to start, and a broken file of them is made anew", () => {
  expect(accountsIn(folder)).toEqual(accounts);
  expect(trunkPasswordIn(folder)).toMatch(/^[a-z0-9]{8,}$/);
  expect(trunkPasswordIn(folder)).toBe(trunkPasswordIn(folder));
  writeFileSync(join(folder, "practice-accounts.json"), '{"101":5,"102":');
  const renewed = accountsIn(folder);
  expect([...renewed.keys()]).toEqual([...USERS]);
  expect([...renewed.values()].every((password) => password.length >= 8)).toBe(true);
});

test("the card is short and says what a newcomer needs", () => {
  const card = practiceCard({ pages: ["http://127.0.0.1:8080/"], sip: ["127.0.0.1:5060"], accounts, notes: [] });
  for (const user of SOFTPHONES) expect(card).toContain(`${user} (password ${accounts.get(user)})`);
  for (const wanted of ["PRACTICE", "http://127.0.0.1:8080/", "127.0.0.1:5060", "911", "933", "101", "cable"]) {
    expect(card).toContain(wanted);
  }
  expect(card.split("\n").length).toBeLessThanOrEqual(14);
});
