import { describe, expect, test } from "vitest";
import type { AvailabilityChange } from "../../base/events.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import type { Binding } from "../../base/snapshot.ts";
import { siteConfig } from "../testing/memory-site.ts";
import { type AvailabilityFacts, availabilityOf, type ContactFacts } from "./availability.ts";
import { AvailabilityWatch } from "./availability-watch.ts";

const config = siteConfig((changed) => {
  changed.devices = [
    { id: "desk", extension: "ext-101", label: "Desk phone", instance: "urn:uuid:1" },
    { id: "lobby", extension: "ext-102", label: "Lobby phone" },
  ];
  changed.dids = [
    { id: "did-main", number: "+13035550100" },
    { id: "did-102", number: "+13035550102", extension: "ext-102" },
  ];
});

function contact(changes: Partial<Binding> = {}, facts: Partial<ContactFacts> = {}): ContactFacts {
  const binding = {
    aor: "sip:101@pbx.example",
    instance: '"<urn:uuid:1>"',
    source_address: "10.20.0.101",
    user_agent: "Phone",
    trust: "learned",
    ...changes,
  } as Binding;
  return { binding, live: true, overdue_ms: -1000, unreached: undefined, stuck: false, ...facts };
}

function look(contacts: Readonly<Record<string, readonly ContactFacts[]>>, changes: Partial<AvailabilityFacts> = {}) {
  return availabilityOf({
    config,
    now_wall: 0,
    contacts: new Map(Object.entries(contacts)),
    early: false,
    proves: () => false,
    normal: true,
    ...changes,
  });
}

const states = (view: ReturnType<typeof look>) => ({
  devices: Object.fromEntries(view.devices.map(({ id, availability }) => [id, availability])),
  extensions: Object.fromEntries(view.extensions),
  dids: Object.fromEntries(view.dids),
});

describe("who can be reached", () => {
  test("a device by its registration, an extension by any device, a number by any extension that it rings", () => {
    expect(states(look({ "ext-101": [contact()] }))).toEqual({
      devices: { desk: "online", lobby: "offline" },
      extensions: { "ext-101": "online", "ext-102": "offline" },
      dids: { "did-main": "online", "did-102": "offline" },
    });
  });

  test("a device's UUID may be written in capitals", () => {
    const config = siteConfig((site) => {
      site.devices = [{ id: "desk", extension: "ext-101", label: "Desk", instance: "urn:uuid:0A" }];
    });
    const view = look({ "ext-101": [contact({ instance: "<urn:uuid:0a>" })] }, { config });
    expect(view.devices.map(({ id }) => id)).toEqual(["desk"]);
  });

  test("nobody knows of those not seen yet, right after a start", () => {
    expect(states(look({}, { early: true })).extensions).toEqual({ "ext-101": "unknown", "ext-102": "unknown" });
  });

  test.each([
    ["did not answer a request", { unreached: { detail: "it did not answer a request", at_wall: 0 } }, "offline"],
    ["has missed its refresh", { overdue_ms: 11_000 }, "offline"],
    ["is a little late with it", { overdue_ms: 5_000 }, "online"],
    ["has let its registration lapse", { live: false }, "offline"],
    ["is not back with the cloud", { stuck: true }, "limited"],
  ] as const)("a phone that %s", (_, facts, expected) => {
    const view = look({ "ext-101": [contact({}, facts)] });
    expect(states(view).devices.desk).toBe(expected);
    if (expected !== "online") expect(view.devices[0]?.evidence[0]?.verdict).toBe("bad");
  });

  test("while the cloud is away, one that could not prove itself may not call out: available in part", () => {
    const away = { normal: false } as const;
    expect(states(look({ "ext-101": [contact()] }, away)).devices.desk).toBe("limited");
    expect(states(look({ "ext-101": [contact()] }, { ...away, proves: () => true })).devices.desk).toBe("online");
    expect(states(look({ "ext-101": [contact({ trust: "full" })] }, away)).devices.desk).toBe("online");
  });

  test("a phone that the site file does not name stands beside those that it does", () => {
    const soft = contact({ instance: '"<urn:uuid:2>"', user_agent: "Softphone" });
    const view = look({
      "ext-101": [contact({}, { live: false }), soft],
      "ext-102": [contact({ instance: undefined })],
    });
    expect(view.devices.map(({ label, availability }) => [label, availability])).toEqual([
      ["Desk phone", "offline"],
      ["Softphone", "online"],
      // Without an instance in the site file it is whoever nobody else is.
      ["Lobby phone", "online"],
    ]);
    expect(states(view).extensions["ext-101"]).toBe("online");
  });
});

test("changes are told with since when; how things are found at the start is none", () => {
  const clock = new ManualClock();
  const told: [string, AvailabilityChange][] = [];
  const watch = new AvailabilityWatch(clock, (what, change) => void told.push([what, change]));
  watch.look(look({ "ext-101": [contact()] }));
  expect(told).toEqual([]);
  clock.advance(5000);
  const at = clock.wall();
  watch.look(look({ "ext-101": [contact({}, { live: false })] }));
  watch.look(look({ "ext-101": [contact({}, { live: false })] }));
  expect(told.map(([what, { id, from, to, since_wall }]) => [what, id, from, to, since_wall])).toEqual([
    ["device", "desk", "online", "offline", at],
    ["extension", "ext-101", "online", "offline", at],
    ["did", "did-main", "online", "offline", at],
  ]);
  expect(told[1]?.[1].evidence[0]?.detail).toBe("its registration is over");
  expect(watch.of("extension", "ext-101")?.since_wall).toBe(at);
});
