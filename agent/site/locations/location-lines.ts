import type { CivicAddress, SiteConfig } from "../../base/config/schema.ts";

/** A configured location as people check it: the address in lines, and which phones it is for. */
export interface LocationLines {
  readonly id: string;
  readonly version: number;
  readonly label: string;
  readonly lines: readonly string[];
  readonly validated_on: string | undefined;
  readonly site: boolean;
  /** Numbers of the extensions that carry it as their own. */
  readonly extensions: readonly string[];
}

/** RFC 5139 elements in the order in which an American envelope has them; empty lines are left out. */
export function addressLines(civic: CivicAddress): string[] {
  const join = (...parts: (string | undefined)[]) => parts.filter((part) => part !== undefined).join(" ");
  const named = (name: string, value: string | undefined) => (value === undefined ? undefined : `${name} ${value}`);
  const inside = [
    named("Building", civic.BLD),
    named("Floor", civic.FLR),
    named("Unit", civic.UNIT),
    named("Room", civic.ROOM),
    named("Seat", civic.SEAT),
    civic.LOC,
    civic.LMK,
  ].filter((part) => part !== undefined);
  return [
    civic.NAM ?? "",
    join(civic.HNO, civic.HNS, civic.PRD, civic.RD, civic.STS, civic.POD),
    inside.join(", "),
    [civic.A3, join(civic.A1, civic.PC)].filter((part) => part !== undefined && part !== "").join(", "),
    civic.country,
  ].filter((line) => line !== "");
}

export function locationLines(config: SiteConfig): LocationLines[] {
  return config.locations.map((location) => ({
    id: location.id,
    version: location.version,
    label: location.label,
    lines: addressLines(location.civic),
    validated_on: location.validated_on,
    site: config.site.location === location.id,
    extensions: config.extensions
      .filter((extension) => extension.location === location.id)
      .map((extension) => extension.number),
  }));
}
