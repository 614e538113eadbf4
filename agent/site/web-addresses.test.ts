import { describe, expect, test } from "vitest";
import { requireConfig } from "../base/config/load.ts";
import { ownHosts, webAddresses } from "./web-addresses.ts";

const config = requireConfig(new URL("../../tests/fixtures/site.yaml", import.meta.url).pathname);
const addresses = (practice: boolean, lan: boolean, of: typeof config | undefined = config) =>
  webAddresses(of, { practice, lan }).map(({ address }) => address);

describe("the status page", () => {
  test("listens on each LAN address and loopback, never on every address", () => {
    expect(addresses(false, false)).toEqual(["10.20.0.5", "127.0.0.1"]);
  });

  test("in practice listens on loopback only, unless the LAN is let in", () => {
    expect(addresses(true, false)).toEqual(["127.0.0.1"]);
    expect(addresses(true, true)).toEqual(["10.20.0.5", "127.0.0.1"]);
  });

  test("of a box without a site file is on loopback", () => {
    expect(webAddresses(undefined, { practice: false, lan: false })).toEqual([{ address: "127.0.0.1", port: 8080 }]);
  });

  test("is asked for by the box's own names", () => {
    expect([...ownHosts(config)]).toEqual(
      expect.arrayContaining(["10.20.0.5", "sip.denver.example", "box-1", "box-1.local"]),
    );
  });
});
