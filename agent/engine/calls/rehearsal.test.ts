import { expect, test } from "vitest";
import { rehearse } from "./rehearsal.ts";
import { siteConfig } from "./testing/site.ts";
import { createWorld } from "./testing/world.ts";

test("a rehearsal fails on no configuration, the emptiest included", () => {
  const config = siteConfig();
  const bare = { ...config, extensions: [], locations: [], emergency: { ...config.emergency, numbers: [] } };
  for (const each of [config, bare]) expect(() => rehearse(each)).not.toThrow();
});

test("after a start the relay has opened ports once, and none is left open", async () => {
  const world = await createWorld();
  let opened = 0;
  const open = world.relay.open.bind(world.relay);
  world.relay.open = (spec) => {
    opened++;
    return open(spec);
  };
  world.relay.connected = false;
  await world.restart();
  await world.advance(500);
  expect(opened).toBe(0);
  world.relay.connected = true;
  await world.advance(2000);
  expect(opened).toBeGreaterThan(0);
  expect(world.relay.endpoints.size).toBe(0);
});
