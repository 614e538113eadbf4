import type { Scenario } from "../scenario.ts";
import { peersAlone } from "./peers-alone.ts";

export const scenarios: readonly Scenario[] = [...peersAlone];

/** Those that `npm test` plays. */
export const shortScenarios: readonly Scenario[] = scenarios.filter((scenario) => scenario.short === true);
