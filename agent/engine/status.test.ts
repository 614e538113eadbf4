import { describe, expect, test } from "vitest";
import type { Binding } from "../base/snapshot.ts";
import { needsRebuild } from "./reload.ts";
import type { RoutingView } from "./routing/plan-types.ts";
import { callsGoBy, engineStatus } from "./status.ts";
import { siteConfig } from "./testing/memory-site.ts";

type State = RoutingView["trunks"][number]["state"];

const view = (mode: RoutingView["mode"], pbx: State, lte: State, lteLink: State = "up"): RoutingView => ({
  mode,
  trunks: [
    { id: "cloud", kind: "pbx", roles: [], state: pbx, path: { id: "wan", kind: "wan", state: "up" } },
    {
      id: "lte-trunk",
      kind: "trunk",
      roles: ["main_number"],
      state: lte,
      path: { id: "lte", kind: "lte", state: lteLink },
    },
  ],
});

describe("how calls go", () => {
  test.each([
    ["by the WAN while the cloud decides", view("normal", "up", "up"), "wan"],
    ["by LTE when the site is on its own", view("survivable", "down", "up"), "lte"],
    ["by LTE in a drill, though the cloud is there", view("forced", "up", "up"), "lte"],
    ["not at all when the trunk is down too", view("survivable", "down", "down"), "not_possible"],
    ["not at all when its path is", view("survivable", "down", "up", "down"), "not_possible"],
  ] as const)("%s", (_, routing, expected) => {
    expect(callsGoBy(routing)).toBe(expected);
  });
});

test("a phone is online by its bindings, with the location that 911 would send", () => {
  const config = siteConfig((changed) => {
    const second = changed.extensions[1];
    if (second !== undefined) delete second.location;
  });
  const binding = { trust: "learned", expires_wall: 5 } as Binding;
  const status = engineStatus({
    configured: true,
    config_hash: "h",
    config,
    failover: { mode: "normal", mode_since_wall: 0, mode_reasons: [], drill: undefined },
    view: view("normal", "up", "up"),
    paths: [],
    trunks: [],
    contacts: {
      ofExtension: (id) => (id === "ext-101" ? [binding] : []),
      bySource: () => undefined,
      byToken: () => undefined,
      all: () => [],
    },
    phones: {
      statusOf: (id) => ({
        availability: id === "ext-101" ? "online" : "offline",
        since_wall: 1,
        devices: [],
        elsewhere: 0,
        expires_wall: undefined,
      }),
      stuck: () => [],
    },
    calls: [],
    emergency: { state: "ready", reason: "", checks: [], routes: [] },
    callback_until_wall: undefined,
    call_moves: [],
    alarms: [],
    counters: {},
  });
  expect(status.phones).toMatchObject([
    { number: "101", availability: "online", trust: "learned", location_label: "Front desk", location_own: true },
    { number: "102", availability: "offline", trust: undefined, location_label: "Front desk", location_own: false },
  ]);
  expect(status.site_location_lines.join(" ")).toContain("1776");
});

describe("a changed site file", () => {
  test("phones, locations, numbers and credentials are taken over while calls run", () => {
    const changed = siteConfig((config) => {
      config.extensions.pop();
      config.emergency.callback_window_min = 30;
      const [place] = config.locations;
      if (place !== undefined) place.label = "Reception";
    });
    expect(needsRebuild(siteConfig(), changed)).toBe(false);
  });

  test("listeners, paths and trunks wait for a moment without calls", () => {
    for (const change of [
      siteConfig((config) => void config.trunks.pop()),
      siteConfig((config) => void config.paths.pop()),
      siteConfig((config) => {
        const [lan] = config.lans;
        if (lan !== undefined) lan.sip_port = 5080;
      }),
    ]) {
      expect(needsRebuild(siteConfig(), change)).toBe(true);
    }
  });
});
