import { expect, test } from "vitest";
import { requireConfig } from "../../base/config/load.ts";
import { addressLines, locationLines } from "./location-lines.ts";

const config = requireConfig(new URL("../../../tests/fixtures/site.yaml", import.meta.url).pathname);

test("an address reads as on an envelope, without empty lines", () => {
  const civic = config.locations[1]?.civic;
  if (civic === undefined) throw new Error("the fixture has two locations");
  expect(addressLines(civic)).toEqual([
    "Acme Dental",
    "1776 E Colfax Avenue",
    "Floor 2, Room 2",
    "Denver, CO 80203",
    "US",
  ]);
  expect(addressLines({ country: "US" })).toEqual(["US"]);
});

test("each location names the phones that carry it, and which is the site's", () => {
  expect(locationLines(config).map(({ id, site, extensions }) => [id, site, extensions])).toEqual([
    ["loc-front", true, ["101"]],
    ["loc-room-2", false, ["102"]],
  ]);
});
