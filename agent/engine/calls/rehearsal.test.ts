import { expect, test } from "vitest";
import { rehearse } from "./rehearsal.ts";
import { siteConfig } from "./testing/world.ts";

test("a rehearsal fails on no configuration, the emptiest included", () => {
  const config = siteConfig();
  const bare = { ...config, extensions: [], locations: [], emergency: { ...config.emergency, numbers: [] } };
  for (const each of [config, bare]) expect(() => rehearse(each)).not.toThrow();
});
