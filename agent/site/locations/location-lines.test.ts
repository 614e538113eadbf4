import { expect, test } from "vitest";
import { requireConfig } from "../../base/config/load.ts";
import { locationLines } from "./location-lines.ts";

const config = requireConfig(new URL("../../../tests/fixtures/site.yaml", import.meta.url).pathname);

test("a location reads as a dispatcher reads it", () => {
  expect(locationLines(config)[1]?.lines).toEqual([
    "Acme Dental",
    "1776 E Colfax Avenue",
    "Floor 2, Room 2",
    "Denver, CO 80203 US",
  ]);
});

test("each location names the phones that carry it, and which is the site's", () => {
  expect(locationLines(config).map(({ id, site, extensions }) => [id, site, extensions])).toEqual([
    ["loc-front", true, ["101"]],
    ["loc-room-2", false, ["102"]],
  ]);
});
