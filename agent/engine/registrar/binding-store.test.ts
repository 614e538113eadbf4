import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import type { Binding } from "../../base/snapshot.ts";
import { parseUri } from "../../sip/messages/uri.ts";
import { siteConfig } from "../testing/memory-site.ts";
import { AddressesOfRecord } from "./addresses-of-record.ts";
import { BindingStore, MEMORY_MS } from "./binding-store.ts";

const AOR = "sip:101@pbx.example";
const WRITTEN = Date.UTC(2026, 5, 1);

function store(clock = new ManualClock()): { readonly clock: ManualClock; readonly store: BindingStore } {
  return { clock, store: new BindingStore(clock, new AddressesOfRecord(siteConfig()), () => {}) };
}

function binding(changes: Partial<Binding> = {}): Binding {
  return {
    aor: AOR,
    contact: "sip:101@10.20.0.101:5060",
    contact_params: "",
    call_id: "c",
    cseq: 1,
    expires_wall: WRITTEN + 600_000,
    transport: "udp",
    source_address: "10.20.0.101",
    source_port: 5060,
    local_address: "10.20.0.5",
    local_port: 5060,
    instance: undefined,
    user_agent: "Phone",
    trust: "learned",
    cloud_accepted_wall: WRITTEN - 1000,
    flow_token: "t",
    ...changes,
  };
}

describe("after a power cut", () => {
  test("with a clock that is right, expiry is what was left less the time without power, and two minutes at least", () => {
    const { clock, store: kept } = store();
    clock.setWall(WRITTEN + 300_000);
    kept.restore([binding()], WRITTEN, { trusted: true });
    expect(kept.left_ms(binding())).toBe(300_000);
    clock.setWall(WRITTEN + 3_000_000);
    const late = store(clock).store;
    late.restore([binding()], WRITTEN, { trusted: true });
    expect(late.left_ms(binding())).toBe(120_000);
  });

  for (const [what, wall] of [
    ["stands in 1970", 0],
    ["is years ahead", WRITTEN + 5 * 365 * 86_400_000],
  ] as const) {
    test(`with a clock that ${what}, expiry goes on from where it stood, and so does trust`, () => {
      const { clock, store: kept } = store();
      clock.setWall(wall);
      kept.restore([binding()], WRITTEN, { trusted: false });
      expect(kept.left_ms(binding())).toBe(600_000);
      expect(kept.acceptedFrom(AOR, "10.20.0.101")).toHaveLength(1);
      // Network time comes: nobody is unregistered and nobody is trusted for longer.
      clock.setWall(WRITTEN + 60_000);
      clock.advance(599_000);
      expect(kept.ofAor(AOR)).toHaveLength(1);
      expect(kept.expiresWall(binding())).toBe(clock.wall() + 1000);
      clock.advance(2000);
      expect(kept.ofAor(AOR)).toEqual([]);
      clock.advance(MEMORY_MS);
      expect(kept.acceptedFrom(AOR, "10.20.0.101")).toEqual([]);
    });
  }

  test("what had lapsed before is remembered for its trust alone", () => {
    const { clock, store: kept } = store();
    clock.setWall(WRITTEN);
    kept.restore([binding({ expires_wall: WRITTEN - 1000 })], WRITTEN, { trusted: false });
    expect(kept.ofAor(AOR)).toEqual([]);
    expect(kept.acceptedFrom(AOR, "10.20.0.101")).toHaveLength(1);
  });

  test("what is written again tells the same, by the clock as it is then", () => {
    const { clock, store: kept } = store();
    clock.setWall(0);
    kept.restore([binding()], WRITTEN, { trusted: false });
    clock.advance(100_000);
    const [again] = kept.remembered();
    expect((again?.expires_wall ?? 0) - clock.wall()).toBe(500_000);
    expect(clock.wall() - (again?.cloud_accepted_wall ?? 0)).toBe(101_000);
  });
});

test("a URI is compared with thousands of contacts in the time of reading it a few times, not as often as there are", () => {
  const { store: many } = store();
  for (let i = 0; i < 2000; i++) {
    const [aor, contact] = [`sip:${i}@pbx.example`, `sip:${i}@10.20.0.101:${10_000 + i};transport=udp`];
    many.put(binding({ aor, contact, flow_token: `t${i}` }), 600_000);
  }
  const long = `sip:1@10.20.0.200${Array.from({ length: 10_000 }, (_, i) => `;p${i}`).join("")}`;
  const least_us = (work: () => unknown) => {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 5; round++) {
      const before = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(before);
      least = Math.min(least, user + system);
    }
    return least;
  };
  const once_us = least_us(() => parseUri(long));
  expect(least_us(() => many.byContact(long))).toBeLessThan(100 * once_us);
  expect(many.byContact("sip:7@10.20.0.101:10007;Transport=UDP")?.aor).toBe("sip:7@pbx.example");
});

describe("whose place a registration takes", () => {
  const device = (contact: string, params: string, call_id: string) =>
    binding({ contact, contact_params: params, call_id, instance: '"<urn:uuid:1>"', flow_token: contact });
  const contacts = (kept: BindingStore) => kept.ofAor(AOR).map(({ contact }) => contact);

  test("the same instance and reg-id: the old contact's (RFC 5626 §6); another reg-id stands beside it", () => {
    const { store: kept } = store();
    kept.put(device("sip:101@a", ";reg-id=1", "x"), 1000);
    kept.put(device("sip:101@b", ";reg-id=2", "x"), 1000);
    kept.put(device("sip:101@c", ";reg-id=1", "x"), 1000);
    expect(contacts(kept)).toEqual(["sip:101@c", "sip:101@b"]);
  });

  test("without a reg-id: a device that started anew, but not a second contact of one that runs", () => {
    const { store: kept } = store();
    kept.put(device("sip:101@a;transport=udp", "", "x"), 1000);
    kept.put(device("sip:101@a;transport=tcp", "", "x"), 1000);
    expect(contacts(kept)).toHaveLength(2);
    kept.put(device("sip:101@b", "", "y"), 1000);
    expect(contacts(kept)).toEqual(["sip:101@b"]);
  });
});
