import { describe, expect, test } from "vitest";
import type { Mode } from "../../base/events.ts";
import { siteConfig } from "../calls/testing/site.ts";
import { outsideNumber } from "./numbers.ts";
import { plan, planEmergency } from "./plan.ts";
import type { RoutingView } from "./plan-types.ts";

type TrunkView = RoutingView["trunks"][number];
const make = (id: string, change: Partial<TrunkView> & { path_state?: TrunkView["state"] } = {}): TrunkView => {
  const { path_state = "up", ...rest } = change;
  return {
    id,
    kind: "trunk",
    roles: ["emergency", "main_number"],
    state: "up",
    path: { id: "wan", kind: "wan", state: path_state },
    ...rest,
  };
};
const cloud = make("cloud", { kind: "pbx", roles: [] });
const view = (mode: Mode, ...trunks: TrunkView[]): RoutingView => ({ mode, trunks });
const trunksOf = (steps: readonly { kind: string }[]) =>
  steps.map((step) => ("trunk" in step ? String(step.trunk) : step.kind));
const lan = (dialled: string, user = dialled) => ({
  dialled,
  user,
  from: { side: "lan" as const, extension: "ext-101" },
});

describe("emergency routes", () => {
  const config = (routes: string[]) => siteConfig({ emergency: { ...siteConfig().emergency, routes } });

  test("the configured order, then the rest in the order of the file", () => {
    const made = planEmergency("911", config(["lte"]), view("normal", cloud, make("direct"), make("lte")));
    expect(trunksOf(made.steps)).toEqual(["lte", "cloud", "direct"]);
  });
  test("where sound does not pass comes behind, but before what is down", () => {
    const mute = make("mute", { path: { id: "wan", kind: "wan", state: "degraded", dead_media: true } });
    const dead = make("dead", { path_state: "down" });
    const made = planEmergency("911", config([]), view("normal", dead, mute, make("lte")));
    expect(trunksOf(made.steps)).toEqual(["lte", "mute", "dead"]);
    expect(made.steps).toMatchObject([{ last_resort: false }, { last_resort: false }, { last_resort: true }]);
  });
  test("what is down comes last and is marked", () => {
    const made = planEmergency("911", config([]), view("normal", { ...cloud, state: "down" }, make("lte")));
    expect(made.steps).toMatchObject([
      { trunk: "lte", last_resort: false },
      { trunk: "cloud", last_resort: true },
    ]);
  });
  test("a trunk for the main number only is left out, unless it is named; a PBX that must not carry 911 always is", () => {
    const line = make("line", { roles: ["main_number"] });
    expect(planEmergency("911", config([]), view("normal", line)).steps).toEqual([]);
    expect(trunksOf(planEmergency("911", config(["line"]), view("normal", line)).steps)).toEqual(["line"]);
    const target = siteConfig().pbx_targets.map((pbx) => ({ ...pbx, carries_emergency: false }));
    const closed = { ...config(["cloud"]), pbx_targets: target };
    expect(planEmergency("911", closed, view("normal", cloud)).steps).toEqual([]);
  });
  test.each(["normal", "survivable", "forced", "recovering"] as const)("mode %s does not matter", (mode) => {
    expect(trunksOf(planEmergency("911", config([]), view(mode, cloud, make("lte"))).steps)).toEqual(["cloud", "lte"]);
  });
});

describe("calls of phones", () => {
  const config = siteConfig();
  test("in normal mode the PBX decides, the first that is not down, and the next when that one fails", () => {
    const second = { ...cloud, id: "cloud-2" };
    expect(plan(lan("102"), config, view("normal", cloud, second)).steps).toEqual([
      { kind: "proxy_to_pbx", trunk: "cloud" },
      { kind: "proxy_to_pbx", trunk: "cloud-2" },
    ]);
    expect(plan(lan("102"), config, view("normal", { ...cloud, state: "down" }, second)).steps).toEqual([
      { kind: "proxy_to_pbx", trunk: "cloud-2" },
    ]);
  });
  test("offline an extension rings, by number or by user name", () => {
    for (const request of [lan("102"), lan("", "102")]) {
      expect(plan(request, config, view("survivable", cloud)).steps).toEqual([
        { kind: "ring_extension", extension: "ext-102" },
      ]);
    }
  });
  test("offline an outside number leaves with the main number, over what is up first", () => {
    const made = plan(lan("97205550123"), config, view("survivable", make("a", { state: "down" }), make("b")));
    expect(made.steps).toEqual([
      { kind: "trunk", trunk: "b", number: "+17205550123", last_resort: false },
      { kind: "trunk", trunk: "a", number: "+17205550123", last_resort: true },
    ]);
  });
  test("a trunk for emergencies only carries nothing else", () => {
    const made = plan(lan("7205550123"), config, view("survivable", make("a", { roles: ["emergency"] })));
    expect(made.steps).toMatchObject([{ kind: "reject", status: 503 }]);
  });
  test("our own numbers ring inside", () => {
    expect(plan(lan("3035550102"), config, view("survivable", make("a"))).steps).toEqual([
      { kind: "ring_extension", extension: "ext-102" },
    ]);
    expect(plan(lan("3035550100"), config, view("survivable", make("a"))).steps).toMatchObject([
      { kind: "ring_main_group" },
    ]);
  });
  test.each([
    ["01144207946000", 403],
    ["+442079460000", 403],
    ["18765550123", 403],
    ["19005550123", 403],
    ["12", 404],
    ["alice", 404],
  ])("offline %s is refused with %i", (dialled, status) => {
    expect(plan(lan(dialled), config, view("survivable", make("a"))).steps).toMatchObject([{ kind: "reject", status }]);
  });
});

describe("calls that a trunk brings", () => {
  const inbound = (user: string) =>
    plan({ dialled: "", user, from: { side: "trunk", trunk: "lte" } }, siteConfig(), view("survivable", make("lte")));
  test("a DID rings its extension; the main number, and whatever else, its group", () => {
    expect(inbound("+13035550102").steps).toEqual([{ kind: "ring_extension", extension: "ext-102" }]);
    expect(inbound("3035550102").steps).toEqual([{ kind: "ring_extension", extension: "ext-102" }]);
    for (const user of ["+13035550100", "box-1", ""]) {
      expect(inbound(user).steps).toEqual([{ kind: "ring_main_group", extensions: ["ext-101", "ext-102"] }]);
    }
  });
});

describe("numbers as dialled", () => {
  const config = siteConfig();
  test.each([
    ["720-555-0123", { kind: "national", e164: "+17205550123" }],
    ["17205550123", { kind: "national", e164: "+17205550123" }],
    ["5550123", { kind: "national", e164: "+13035550123" }],
    ["95550123", { kind: "national", e164: "+13035550123" }],
    ["9 1 (720) 555-0123", { kind: "national", e164: "+17205550123" }],
    ["+442079460000", { kind: "international", e164: "+442079460000" }],
    ["901144207946000", { kind: "international", e164: "+44207946000" }],
    ["988", { kind: "service", digits: "988" }],
    ["9211", { kind: "service", digits: "211" }],
    ["19005550123", { kind: "premium", e164: "+19005550123" }],
    ["13039760123", { kind: "premium", e164: "+13039760123" }],
    ["9760123", { kind: "premium", e164: "+13039760123" }],
    ["101", undefined],
    ["1205550123", undefined],
  ])("%s", (dialled, expected) => {
    expect(outsideNumber(dialled, config)).toEqual(expected);
  });
  test("where 0 and 00 lead", () => {
    const british = siteConfig({ site: { ...config.site, country_code: "44", main_number: "+442079460000" } });
    expect(outsideNumber("02079460123", british)).toEqual({ kind: "national", e164: "+442079460123" });
    expect(outsideNumber("0013035550100", british)).toEqual({ kind: "international", e164: "+13035550100" });
    expect(outsideNumber("0909123456", british)).toEqual({ kind: "premium", e164: "+44909123456" });
  });
});
