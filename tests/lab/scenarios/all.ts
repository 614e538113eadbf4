import type { Scenario } from "../scenario.ts";
import { brokenBox } from "./broken-box.ts";
import { carrierNats } from "./carrier-nat.ts";
import { emergencyCallers } from "./emergency-callers.ts";
import { emergencyCuts } from "./emergency-cuts.ts";
import { emergencyOddCarriers } from "./emergency-odd-carriers.ts";
import { emergencyResets } from "./emergency-resets.ts";
import { emergencyRestart } from "./emergency-restart.ts";
import { emergencyWeather } from "./emergency-weather.ts";
import { firstSecond } from "./first-second.ts";
import { goingAndComingBack } from "./going-and-coming-back.ts";
import { offlineFeatures } from "./offline-features.ts";
import { outageRequests } from "./outage-requests.ts";
import { outages } from "./outages.ts";
import { peersAlone } from "./peers-alone.ts";
import { registrations } from "./registrations.ts";
import { runningCalls } from "./running-calls.ts";
import { severalServers } from "./several-servers.ts";
import { sippAlone } from "./sipp-alone.ts";
import { transparency } from "./transparency/index.ts";
import { transports } from "./transports/index.ts";

export const scenarios: readonly Scenario[] = [
  ...peersAlone,
  ...transparency,
  ...transports,
  ...sippAlone,
  ...outages,
  ...offlineFeatures,
  ...outageRequests,
  ...firstSecond,
  ...brokenBox,
  ...goingAndComingBack,
  ...emergencyWeather,
  ...runningCalls,
  ...emergencyCallers,
  ...emergencyCuts,
  ...emergencyOddCarriers,
  ...emergencyResets,
  ...severalServers,
  ...emergencyRestart,
  ...carrierNats,
  ...registrations,
];

/** Those that `npm test` plays. */
export const shortScenarios: readonly Scenario[] = scenarios.filter((scenario) => scenario.short === true);
