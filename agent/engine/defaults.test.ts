import { expect, test } from "vitest";
import { crossReferences } from "../base/config/cross-references.ts";
import { siteConfig } from "./calls/testing/site.ts";
import { completeConfig, defaultConfig, localAddresses } from "./defaults.ts";
import { planEmergency } from "./routing/plan.ts";
import type { RoutingView } from "./routing/plan-types.ts";

const addresses = [
  { address: "10.20.0.5", cidr: "10.20.0.5/24" },
  { address: "10.30.0.5", cidr: "10.30.0.5/24" },
];

function routes(config: ReturnType<typeof defaultConfig>): string[] {
  const trunks: RoutingView["trunks"] = [
    ...config.pbx_targets.map(({ id }) => ({ id, kind: "pbx", roles: [], state: "unknown" }) as const),
    ...config.trunks.map(({ id, roles }) => ({ id, kind: "trunk", roles, state: "unknown" }) as const),
  ].map((each) => ({ ...each, path: { id: "p", kind: "wan", state: "unknown" } }));
  return planEmergency("911", config, { mode: "normal", trunks }).steps.map((step) =>
    step.kind === "trunk" ? step.trunk : step.kind,
  );
}

test("911 is taken on every network of the box and has the modem to leave by", () => {
  const config = defaultConfig(addresses);
  expect(config.lans.map(({ address, subnets }) => [address, ...subnets])).toEqual([
    ["10.20.0.5", "10.20.0.5/24"],
    ["10.30.0.5", "10.30.0.5/24"],
  ]);
  expect(config.emergency.numbers.map(({ digits }) => digits)).toEqual(["911", "933", "112"]);
  expect(routes(config)).toEqual(["modem"]);
});

test("the cloud that a phone named comes before the modem", () => {
  const config = defaultConfig(addresses, [{ host: "pbx.example", port: undefined, transport: "udp" }], "10.20.0.5");
  expect(config.pbx_targets).toMatchObject([{ host: "pbx.example", port: 5060, path: "wan" }]);
  expect(routes(config)).toEqual(["learned-0", "modem"]);
});

test("without a way to the outside nothing is learned", () => {
  expect(
    defaultConfig(addresses, [{ host: "pbx.example", port: undefined, transport: "udp" }], undefined).pbx_targets,
  ).toEqual([]);
});

test("every reference in it is met, but for the location that nobody knows", () => {
  const config = defaultConfig(addresses, [{ host: "pbx.example", port: 5070, transport: "tcp" }], "10.20.0.5");
  expect(config.pbx_targets).toMatchObject([{ port: 5070, transport: "tcp" }]);
  expect(crossReferences(config).map(({ path }) => path.join("."))).toEqual(["site.location"]);
});

test("a snapshot of an older release has every section and key, and keeps what it says", () => {
  const { registrar, failover, modems, ...rest } = siteConfig();
  const older = { ...rest, failover: { hold_down_ms: 5_000 } } as unknown as ReturnType<typeof siteConfig>;
  const complete = completeConfig(older);
  expect(complete.registrar).toEqual(defaultConfig([]).registrar);
  expect(complete.failover).toEqual({ ...defaultConfig([]).failover, hold_down_ms: 5_000 });
  expect(complete.modems).toEqual([]);
  expect(complete.extensions).toEqual(rest.extensions);
  expect(completeConfig(siteConfig())).toEqual(siteConfig());
});

test("a snapshot of this release is the same to the letter, so that a restart rebuilds nothing", () => {
  const { failover, noc, ...rest } = siteConfig();
  const backwards = <T extends object>(section: T): T => Object.fromEntries(Object.entries(section).reverse()) as T;
  const config = { ...rest, failover: backwards(failover), noc: backwards(noc) };
  expect(JSON.stringify(completeConfig(config))).toBe(JSON.stringify(config));
});

test("practice listens on loopback alone", () => {
  expect(localAddresses(true).map(({ address }) => address)).toEqual(["127.0.0.1"]);
});
