import type { CivicAddress } from "./config/schema.ts";

/** The address as a dispatcher reads it: place, street, where inside, town. Empty lines are left out. */
export function dispatchLines(civic: CivicAddress): string[] {
  const words = (...parts: (string | undefined)[]) =>
    parts.filter((part) => part !== undefined && part !== "").join(" ");
  const labelled = (label: string, value: string | undefined) =>
    value === undefined ? undefined : `${label} ${value}`;
  const inside = [
    labelled("Bldg", civic.BLD),
    labelled("Floor", civic.FLR),
    labelled("Unit", civic.UNIT),
    labelled("Room", civic.ROOM),
    labelled("Seat", civic.SEAT),
    civic.LOC,
    civic.LMK,
  ].filter((part) => part !== undefined);
  const house = `${civic.HNO ?? ""}${civic.HNS === undefined ? "" : ` ${civic.HNS}`}`.trim();
  const town = [civic.A3, words(civic.A1, civic.PC)].filter((part) => part !== undefined && part !== "").join(", ");
  return [
    civic.NAM ?? "",
    words(house, civic.PRD, civic.RD, civic.STS, civic.POD),
    inside.join(", "),
    words(town, civic.country),
  ].filter((line) => line !== "");
}
