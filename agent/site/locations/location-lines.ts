import type { SiteConfig } from "../../base/config/schema.ts";
import { dispatchLines } from "../../base/dispatch-lines.ts";

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

export function locationLines(config: SiteConfig): LocationLines[] {
  return config.locations.map((location) => ({
    id: location.id,
    version: location.version,
    label: location.label,
    lines: dispatchLines(location.civic),
    validated_on: location.validated_on,
    site: config.site.location === location.id,
    extensions: config.extensions
      .filter((extension) => extension.location === location.id)
      .map((extension) => extension.number),
  }));
}
