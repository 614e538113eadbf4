import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { loadTokenKey, OwnTokens } from "./own-tokens.ts";

const KEY = new Uint8Array(32).fill(1);
const phone = {
  protocol: "udp",
  local: { address: "10.20.0.5", port: 5060 },
  remote: { address: "10.20.0.101", port: 5062 },
} as const;

test("a token tells its side to an engine that has never seen it", () => {
  const made = new OwnTokens(KEY).ofPhone(phone, "leg1");
  expect(new OwnTokens(KEY).read(made)).toEqual({ side: { kind: "phone", ...phone }, leg: "leg1" });
  const trunk = new OwnTokens(KEY).ofTrunk("lte-trunk", "leg2");
  expect(new OwnTokens(KEY).read(trunk)).toEqual({ side: { kind: "trunk", trunk: "lte-trunk" }, leg: "leg2" });
});

test("IPv6 and TCP are told as well", () => {
  const v6 = {
    protocol: "tcp",
    local: { address: "fd00::5", port: 5060 },
    remote: { address: "fd00::1:2", port: 40_000 },
  } as const;
  const made = new OwnTokens(KEY).ofPhone(v6, "a");
  expect(made).toMatch(/^[a-z0-9._-]+$/);
  expect(new OwnTokens(KEY).read(made)?.side).toEqual({ kind: "phone", ...v6 });
});

test("neither another key's token nor a changed one is believed", () => {
  const made = new OwnTokens(KEY).ofPhone(phone, "leg1");
  expect(new OwnTokens(new Uint8Array(32).fill(2)).read(made)).toBeUndefined();
  fc.assert(
    fc.property(fc.nat(made.length - 1), fc.constantFrom(..."abc019-_."), (at, letter) => {
      const changed = made.slice(0, at) + letter + made.slice(at + 1);
      expect(new OwnTokens(KEY).read(changed)).toEqual(changed === made ? expect.anything() : undefined);
    }),
  );
});

test("any text is taken without harm", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(new OwnTokens(KEY).read(text)).toBeUndefined();
    }),
  );
});

test("the key is the same for the next process of the same boot", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-key-"));
  try {
    const file = join(folder, "run", "engine.key");
    expect(loadTokenKey(file, undefined)).toEqual(Buffer.from(loadTokenKey(file, undefined)));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("after a power cut the key is the one that was kept beside the bindings; a damaged one is not taken", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-key-"));
  try {
    const key = Buffer.alloc(32, 9);
    expect(Buffer.from(loadTokenKey(join(folder, "a.key"), key.toString("base64")))).toEqual(key);
    expect(loadTokenKey(join(folder, "b.key"), "short")).toHaveLength(32);
    // The one of this boot is newer than any that was kept.
    expect(Buffer.from(loadTokenKey(join(folder, "a.key"), "short"))).toEqual(key);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("without a place for the key there is a key all the same", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-key-"));
  try {
    const file = join(folder, "engine.key");
    mkdirSync(file);
    expect(loadTokenKey(file, undefined)).toHaveLength(32);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
