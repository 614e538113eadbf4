import type { SiteConfig } from "../../base/config/schema.ts";
import { dispatchLines } from "../../base/dispatch-lines.ts";
import type { Readiness, ReadinessCheck } from "../../base/status.ts";
import { emergencyTrunks } from "../routing/plan.ts";
import type { RoutingView } from "../routing/plan-types.ts";

export interface ReadinessInput {
  readonly config: SiteConfig;
  /** False while the engine runs on built-in defaults. */
  readonly configured: boolean;
  readonly view: RoutingView;
  /** The box listens for phones. */
  readonly listening: boolean;
  readonly media_connected: boolean;
}

/** Whether 911 could be called now, by named checks. Not knowing is never shown as good. */
export function readiness({ config, configured, view, listening, media_connected }: ReadinessInput): Readiness {
  const trunks = emergencyTrunks(config, view);
  const good = trunks.filter((trunk) => isGood(trunk.state) && isGood(trunk.path.state));
  const open = trunks.filter((trunk) => trunk.state !== "down" && trunk.path.state !== "down");
  const paths = [...new Set(good.map(({ path }) => path.id))];
  const place = config.locations.find(({ id }) => id === config.site.location);
  const bare = config.extensions.filter(
    (extension) =>
      extension.location === undefined &&
      !config.devices.some((device) => device.extension === extension.id && device.location !== undefined) &&
      !config.lans.some((lan) => lan.location !== undefined),
  );

  const checks: ReadinessCheck[] = [
    {
      name: "listening",
      ok: listening,
      detail: listening ? "The box takes calls from phones." : "The box does not listen for phones.",
    },
    {
      name: "route",
      ok: good.length > 0 ? true : open.length > 0 ? undefined : false,
      detail:
        good.length > 0
          ? `911 can leave by ${good.map(({ id }) => id).join(", ")}.`
          : open.length > 0
            ? `Whether ${open.map(({ id }) => id).join(", ")} could carry 911 is not known.`
            : trunks.length === 0
              ? "No trunk or PBX is set up to carry 911."
              : `Every route for 911 is down: ${trunks.map(({ id }) => id).join(", ")}.`,
    },
    {
      name: "second_path",
      ok: paths.length >= 2,
      detail:
        paths.length >= 2
          ? `Independent paths: ${paths.join(", ")}.`
          : `Only ${paths[0] ?? "no path"} could carry 911.`,
    },
    {
      name: "site_location",
      ok: place !== undefined,
      detail:
        place === undefined
          ? "The site has no location to send."
          : `The site is at ${dispatchLines(place.civic).join(", ")}.`,
    },
    {
      name: "phone_locations",
      ok: bare.length === 0,
      detail:
        bare.length === 0
          ? "Every phone has a location."
          : `911 from ${bare.map(({ number }) => number).join(", ")} would show the site's location only.`,
    },
    {
      name: "configuration",
      ok: configured,
      detail: configured ? "The site file is in use." : "The engine runs on built-in defaults.",
    },
    {
      name: "media",
      ok: media_connected,
      detail: media_connected ? "The media relay answers." : "The media relay is away: calls go without it.",
    },
  ];

  const state = readinessState(listening, good.length, open.length, paths.length);
  const deciding = checks.find(({ ok }) => ok !== true);
  return { state, reason: deciding?.detail ?? "All checks pass.", checks, routes: open.map(({ id }) => id) };
}

function readinessState(listening: boolean, good: number, open: number, paths: number): Readiness["state"] {
  if (!listening || open === 0) return "not_ready";
  if (good === 0) return "unknown";
  return paths >= 2 ? "ready" : "one_path";
}

function isGood(state: RoutingView["trunks"][number]["state"]): boolean {
  return state === "up" || state === "degraded";
}
