import { describe, expect, test } from "vitest";
import type { SiteConfig } from "../../base/config/schema.ts";
import { parseMultipart, partHeader } from "../../sip/messages/multipart.ts";
import { siteConfig } from "../calls/testing/site.ts";
import { convey } from "./conveyance.ts";
import { inSubnet, locate } from "./location.ts";
import { printPidfLo } from "./pidf-lo.ts";

const civic = { country: "US", A1: "CO", A3: "Denver", RD: "Colfax", HNO: "1776" };
const place = (id: string) => ({ id, version: 2, label: id, civic: { ...civic, ROOM: id } });

function config(change: Partial<SiteConfig> = {}): SiteConfig {
  return siteConfig({
    locations: ["front", "room-2", "desk-7", "hall"].map(place),
    devices: [
      { id: "dev-a", extension: "ext-102", label: "A", instance: "urn:uuid:a", location: "desk-7" },
      { id: "dev-b", extension: "ext-102", label: "B", instance: "urn:uuid:b" },
    ],
    ...change,
  });
}
const caller = { extension: "ext-102", registered: true, instance: undefined, source_address: "10.20.0.9" };

describe("where a call comes from", () => {
  test("the phone's own location before its extension's", () => {
    expect(locate({ ...caller, instance: "urn:uuid:a" }, config())).toMatchObject({
      location: { id: "desk-7" },
      source: "device",
      device: "dev-a",
      trusted: true,
    });
    expect(locate({ ...caller, instance: "urn:uuid:b" }, config())).toMatchObject({
      location: { id: "room-2" },
      source: "extension",
    });
  });

  test("then the LAN's, by subnet", () => {
    const lans = [{ id: "hall", address: "10.20.0.5", subnets: ["10.20.0.0/24"], sip_port: 5060, location: "hall" }];
    const found = locate({ ...caller, extension: undefined, registered: false }, config({ lans }));
    expect(found).toMatchObject({ location: { id: "hall" }, source: "lan", trusted: true });
  });

  test("else the site's, not trusted, and it says why", () => {
    const found = locate({ ...caller, extension: undefined, registered: false }, config());
    expect(found).toMatchObject({ location: { id: "front" }, source: "site", trusted: false });
    expect(found.doubt).toContain("no location of its own");
  });

  test("a phone that only claims an extension gets its location, marked", () => {
    const found = locate({ ...caller, registered: false }, config());
    expect(found).toMatchObject({ location: { id: "room-2" }, trusted: false });
  });

  test("no location at all does not stop it", () => {
    expect(locate(caller, config({ locations: [] }))).toMatchObject({ location: undefined, lines: [], trusted: false });
  });

  test.each([
    ["10.20.0.9", "10.20.0.0/24", true],
    ["10.20.1.9", "10.20.0.0/24", false],
    ["10.20.1.9", "0.0.0.0/0", true],
    ["::ffff:10.20.0.9", "10.20.0.0/24", true],
    ["2001:db8::5", "2001:db8::/64", true],
    ["2001:db8:1::5", "2001:db8::/64", false],
    ["10.20.0.9", "2001:db8::/64", false],
    ["nonsense", "10.20.0.0/24", false],
    ["10.20.0.9", "10.20.0.0/40", false],
  ])("%s in %s: %s", (address, subnet, expected) => {
    expect(inSubnet(address, subnet)).toBe(expected);
  });
});

describe("PIDF-LO", () => {
  const everything = {
    PLC: "office",
    SEAT: "7",
    ROOM: "204",
    UNIT: "B",
    BLD: "East",
    PC: "80203",
    NAM: 'Acme "Dental" & <Sons>',
    FLR: "2",
    LOC: "behind\u0000 the stairs",
    LMK: "clock",
    HNS: "A",
    HNO: "1776",
    POD: "N",
    STS: "Avenue",
    RD: "Colfax",
    PRD: "E",
    A3: "Denver",
    A2: "Denver County",
    A1: "CO",
    country: "US",
  };
  const text = printPidfLo({
    entity: "sip:+13035550100@box&x",
    device: "7 desk",
    instance: undefined,
    location: { id: "l", version: 1, label: "L", civic: everything },
    wall_ms: Date.UTC(2026, 10, 20, 23, 0, 0),
  });

  test("elements stand in the order of RFC 5139", () => {
    const order = [...text.matchAll(/<ca:([A-Za-z0-9]+)>/g)].map(([, name]) => name);
    expect(order.join(" ")).toBe("country A1 A2 A3 PRD RD STS POD HNO HNS LMK LOC FLR NAM PC BLD UNIT ROOM SEAT PLC");
  });

  test("text is escaped, and what XML cannot say is left out", () => {
    expect(text).toContain("<ca:NAM>Acme &quot;Dental&quot; &amp; &lt;Sons&gt;</ca:NAM>");
    expect(text).toContain("<ca:LOC>behind the stairs</ca:LOC>");
    expect(text).toContain('entity="sip:+13035550100@box&amp;x"');
    expect(text).toContain('<dm:device id="d-7-desk">');
    expect(text).toContain("<dm:timestamp>2026-11-20T23:00:00Z</dm:timestamp>");
  });

  test("a device has a URN: its own, or one made of its name that stays the same", () => {
    const of = (instance: string | undefined) =>
      /<dm:deviceID>(.*)<\/dm:deviceID>/.exec(
        printPidfLo({ entity: "sip:a@b", device: "d", instance, location: place("x"), wall_ms: 0 }),
      )?.[1];
    expect(of("urn:uuid:6f2c1c8e-0d0c-4e3a-9a55-0004f2aabbcc")).toBe("urn:uuid:6f2c1c8e-0d0c-4e3a-9a55-0004f2aabbcc");
    expect(of("<script>")).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(of(undefined)).toBe(of("no urn"));
  });
});

describe("the carrier's profile decides how location goes", () => {
  const profile = {
    id: "p",
    request_uri: "sip:{number}@{host}",
    caller_identity: "from" as const,
    location: "value" as const,
    geolocation_routing: true,
    ring_deadline_ms: 10000,
  };
  const location = locate(caller, config());
  const base = {
    profile,
    sdp: "v=0\r\n",
    location,
    entity: "sip:a@b",
    instance: undefined,
    host: "10.0.0.1",
    wall_ms: 0,
  };

  test("by value: SDP and PIDF-LO in one body, tied by Content-ID", () => {
    const { headers, body, contentType } = convey(base);
    const parts = parseMultipart(contentType ?? "", body);
    expect(parts.map((part) => partHeader(part, "Content-Type"))).toEqual(["application/sdp", "application/pidf+xml"]);
    const cid = parts[1] === undefined ? "" : (partHeader(parts[1], "Content-ID") ?? "");
    expect(headers).toEqual([
      { name: "Geolocation", value: `<cid:${cid.slice(1, -1)}>` },
      { name: "Geolocation-Routing", value: "yes" },
    ]);
  });

  test("by reference, by the carrier's identifier, or not at all: SDP alone is the body", () => {
    const reference = { ...profile, location: "reference" as const, location_reference: "https://lis/{location}" };
    expect(convey({ ...base, profile: reference }).headers[0]).toEqual({
      name: "Geolocation",
      value: "<https://lis/room-2>",
    });
    const named = { ...location, location: { ...place("room-2"), carrier_location_id: "LOC77" } };
    const carrier = { ...profile, location: "carrier_id" as const, geolocation_routing: false };
    expect(convey({ ...base, profile: carrier, location: named }).headers).toEqual([
      { name: "Geolocation", value: "LOC77" },
      { name: "Geolocation-Routing", value: "no" },
    ]);
    for (const none of [
      { ...base, profile: { ...profile, location: "none" as const } },
      { ...base, location: undefined },
    ]) {
      expect(convey(none)).toMatchObject({ headers: [], contentType: "application/sdp" });
    }
  });

  test("a location without the carrier's identifier still goes, by value", () => {
    const carrier = { ...profile, location: "carrier_id" as const };
    expect(convey({ ...base, profile: carrier }).contentType).toMatch(/^multipart\/mixed/);
  });
});
