import { expect, test } from "vitest";
import { dispatchLines } from "./dispatch-lines.ts";

test("dispatch lines read as an address: place, street, where inside, town", () => {
  expect(
    dispatchLines({
      country: "US",
      A1: "CO",
      A3: "Denver",
      PRD: "E",
      RD: "Colfax",
      STS: "Avenue",
      HNO: "1776",
      BLD: "North",
      FLR: "2",
      ROOM: "204",
      LOC: "by the stairs",
      NAM: "Acme Dental",
      PC: "80203",
    }),
  ).toEqual([
    "Acme Dental",
    "1776 E Colfax Avenue",
    "Bldg North, Floor 2, Room 204, by the stairs",
    "Denver, CO 80203 US",
  ]);
});

test("lines without anything are left out", () => {
  expect(dispatchLines({ country: "US" })).toEqual(["US"]);
});
