import { describe, expect, test } from "vitest";
import { siteConfig } from "../calls/testing/site.ts";
import type { RoutingView } from "../routing/plan-types.ts";
import { type ReadinessInput, readiness } from "./readiness.ts";

type State = RoutingView["trunks"][number]["state"];
const trunk = (id: string, path: "wan" | "lte", state: State, path_state: State) => ({
  id,
  kind: "trunk" as const,
  roles: ["emergency"] as const,
  state,
  path: { id: path, kind: path, state: path_state },
});
function input(trunks: RoutingView["trunks"], change: Partial<ReadinessInput> = {}): ReadinessInput {
  return {
    config: siteConfig(),
    configured: true,
    view: { mode: "normal", trunks },
    listening: true,
    media_connected: true,
    ...change,
  };
}

describe("911 readiness", () => {
  test("two paths: ready", () => {
    const made = readiness(input([trunk("a", "wan", "up", "up"), trunk("b", "lte", "degraded", "up")]));
    expect(made).toMatchObject({ state: "ready", reason: "All checks pass.", routes: ["a", "b"] });
  });
  test("two trunks on one path are one path", () => {
    const made = readiness(input([trunk("a", "wan", "up", "up"), trunk("b", "wan", "up", "up")]));
    expect(made.state).toBe("one_path");
    expect(made.reason).toContain("Only wan");
  });
  test("a trunk that is up on a path that is down carries nothing", () => {
    expect(readiness(input([trunk("a", "wan", "up", "down")]))).toMatchObject({ state: "not_ready", routes: [] });
  });
  test("not knowing is unknown, never ready", () => {
    const made = readiness(input([trunk("a", "wan", "unknown", "up"), trunk("b", "lte", "suspect", "up")]));
    expect(made.state).toBe("unknown");
    expect(made.checks.find(({ name }) => name === "route")?.ok).toBeUndefined();
  });
  test("no route configured, or not listening: not ready, with that reason", () => {
    expect(readiness(input([]))).toMatchObject({
      state: "not_ready",
      reason: "No trunk or PBX is set up to carry 911.",
    });
    const deaf = readiness(input([trunk("a", "wan", "up", "up")], { listening: false }));
    expect(deaf).toMatchObject({ state: "not_ready", reason: "The box does not listen for phones." });
  });
  test("a missing location, defaults and a dead relay are said and do not hide the routes", () => {
    const good = [trunk("a", "wan", "up", "up"), trunk("b", "lte", "up", "up")];
    const made = readiness(
      input(good, { config: siteConfig({ locations: [] }), configured: false, media_connected: false }),
    );
    expect(made.state).toBe("ready");
    expect(made.checks.filter(({ ok }) => ok === false).map(({ name }) => name)).toEqual([
      "site_location",
      "configuration",
      "media",
    ]);
  });
});
