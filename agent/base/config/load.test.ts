import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { faultText, loadConfig, parseConfig } from "./load.ts";

const FIXTURE = new URL("../../../tests/fixtures/site.yaml", import.meta.url).pathname;
const good = readFileSync(FIXTURE, "utf8");

function faultsOf(source: string) {
  const result = parseConfig(source, "site.yaml");
  return result.ok ? [] : result.faults;
}

describe("a good site file", () => {
  test("loads, fills defaults at every depth and is frozen", () => {
    const result = loadConfig(FIXTURE);
    if (!result.ok) throw new Error(result.faults.map(faultText).join("\n"));
    expect(result.config.failover.hold_down_ms).toBe(30000);
    expect(result.config.emergency.numbers.map((number) => number.digits)).toEqual(["911", "933"]);
    expect(result.config.trunks[0]?.registration?.expires_s).toBe(300);
    expect(() => {
      (result.config.site as { name: string }).name = "other";
    }).toThrow(TypeError);
  });
});

describe("each fault names file, line, key, what was found and what is allowed", () => {
  test("a file that is not there", () => {
    const result = loadConfig("/nonexistent/site.yaml");
    expect(result.ok ? [] : result.faults).toEqual([
      {
        file: "/nonexistent/site.yaml",
        line: 0,
        key: "(file)",
        found: "no such file",
        allowed: "a readable site file",
      },
    ]);
  });

  test("an empty file", () => {
    expect(faultsOf("")[0]).toMatchObject({ key: "(file)", found: "an empty file" });
  });

  test("a half-written file", () => {
    const half = good.slice(0, good.indexOf("pbx_targets") + 40);
    const faults = faultsOf(half);
    expect(faults.length).toBeGreaterThan(0);
    expect(faults[0]?.line).toBeGreaterThan(0);
  });

  test("a wrong type", () => {
    const line = good.split("\n").findIndex((text) => text.includes("local_port")) + 1;
    expect(faultsOf(good.replace("local_port: 5070", "local_port: high"))).toEqual([
      { file: "site.yaml", line, key: "trunks[lte-trunk].local_port", found: '"high"', allowed: "integer" },
    ]);
  });

  test("a time zone that there is not", () => {
    const zone = good.match(/time_zone: (\S+)/)?.[1] ?? "";
    expect(faultsOf(good.replace(`time_zone: ${zone}`, "time_zone: America/Springfield"))[0]).toMatchObject({
      key: "site.time_zone",
      found: '"America/Springfield"',
      allowed: "an IANA time zone, such as America/Chicago",
    });
  });

  test("an unknown key lists the keys that are known", () => {
    const fault = faultsOf(good.replace("layout: one_armed", "lay_out: one_armed"))[0];
    expect(fault).toMatchObject({ key: "box.lay_out", found: "a key that is not known" });
    expect(fault?.allowed).toContain("layout");
  });

  test("a missing key", () => {
    const fault = faultsOf(good.replace('  main_number: "+13035550100"\n', ""))[0];
    expect(fault).toMatchObject({ key: "site.main_number", found: "nothing" });
  });

  test("a value outside a choice lists the choices", () => {
    expect(faultsOf(good.replace("layout: one_armed", "layout: three_port"))[0]).toMatchObject({
      key: "box.layout",
      found: '"three_port"',
      allowed: "one_armed, two_port",
    });
  });

  test("a number that is not E.164 says what one looks like", () => {
    expect(faultsOf(good.replace('"+13035550100"', '"3035550100"'))[0]?.allowed).toContain("E.164");
  });

  test("a reference that leads nowhere lists what there is", () => {
    const line = good.split("\n").findIndex((text) => text.includes("    path: lte")) + 1;
    expect(faultsOf(good.replace("    path: lte", "    path: satellite"))).toEqual([
      { file: "site.yaml", line, key: "trunks[lte-trunk].path", found: '"satellite"', allowed: "a path: wan, lte" },
    ]);
  });

  test("the same id twice", () => {
    expect(faultsOf(good.replace("id: ext-102", "id: ext-101"))[0]).toMatchObject({ found: '"ext-101" twice' });
  });

  test("several faults at once are all reported, in the file's order", () => {
    const faults = faultsOf(good.replace("v: 1", "v: 2").replace("local_port: 5070", "local_port: 99999"));
    expect(faults.map((fault) => fault.key)).toEqual(["v", "trunks[lte-trunk].local_port"]);
  });

  test("a hostile file of nested aliases is refused, not expanded", () => {
    const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
    for (let i = 1; i < 10; i++) {
      const name = String.fromCharCode(97 + i);
      const before = String.fromCharCode(96 + i);
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(",")}]`);
    }
    expect(faultsOf(bomb.join("\n")).length).toBeGreaterThan(0);
  });
});

test("IPv6 addresses come out in the form that the kernel prints", () => {
  const result = parseConfig(
    `v: 1
org: { id: o, name: O }
site: { id: s, name: S, location: hall, main_number: "+13035550100" }
box: { id: b }
lans:
  - { id: lan, address: "FD77:1:0:0::2", subnets: ["fd77:1::/64"] }
paths:
  - { id: lte, kind: lte, address: "2001:DB8:6::0002", gateway: "2001:db8:6:0::1" }
trunks:
  - { id: t, path: lte, roles: [emergency], host: "2001:db8:0060::61", carrier_profile: p }
carrier_profiles: [{ id: p }]
locations:
  - { id: hall, label: Hall, civic: { country: US } }
`,
    "site.yaml",
  );
  expect(result.ok ? [result.config.lans[0]?.address, result.config.trunks[0]?.host] : result.faults).toEqual([
    "fd77:1::2",
    "2001:db8:60::61",
  ]);
  expect(result.ok ? result.config.paths[0] : undefined).toMatchObject({
    address: "2001:db8:6::2",
    gateway: "2001:db8:6::1",
  });
});
