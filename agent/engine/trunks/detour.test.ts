import { describe, expect, test } from "vitest";
import { parseConfig } from "../../base/config/load.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import { detourPath, freePort } from "./detour.ts";

function site(target: string, failover = ""): SiteConfig {
  const loaded = parseConfig(
    `
v: 1
org: { id: o, name: O }
site: { id: s, name: S, location: l, main_number: "+13035550100" }
box: { id: b }
lans: [{ id: lan, address: 127.0.0.5, subnets: [127.0.0.0/24] }]
paths: [{ id: wan, kind: wan }, { id: lte, kind: lte }, { id: lte2, kind: lte }, { id: voice, kind: modem }]
pbx_targets: [{ id: cloud, path: wan, domain: pbx.example, host: 127.0.1.10${target} }]
failover: { ${failover} }
locations: [{ id: l, label: L, civic: { country: US } }]
`,
    "test",
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  return loaded.config;
}

const over = (config: SiteConfig, path = "wan") => detourPath(config, { id: "cloud", path });

describe("the other path to a cloud PBX", () => {
  test("is the first LTE data path, or the one that the site file names", () => {
    expect(over(site(""))).toBe("lte");
    expect(over(site(", detour_path: lte2"))).toBe("lte2");
  });

  test("is none for what is not reached over the WAN, over a voice modem, and where running calls stay", () => {
    expect(over(site(""), "lte")).toBeUndefined();
    expect(over(site(", detour_path: voice"))).toBeUndefined();
    expect(over(site(", detour_path: wan"))).toBeUndefined();
    expect(over(site("", "running_calls: stay"))).toBeUndefined();
  });

  test("takes a local port that nothing else has there", () => {
    expect(freePort(5062, new Set([5070]))).toBe(5062);
    expect(freePort(5070, new Set([5070, 5071]))).toBe(5072);
  });
});
