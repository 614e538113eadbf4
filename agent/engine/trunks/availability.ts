import type { Availability, HealthState } from "../../base/events.ts";

/** What a trunk's availability is made of. */
export interface TrunkFacts {
  /** Its verdict; over a path that is down every trunk is. */
  readonly state: HealthState;
  /** Undefined where the box does not register. */
  readonly registered: boolean | undefined;
}

/** Whether calls can use the trunk: both ways, one way, not at all, or nobody knows. */
export function trunkAvailability({ state, registered }: TrunkFacts): Availability {
  if (state === "down") return "offline";
  if (state === "unknown") return "unknown";
  return state === "suspect" || registered === false ? "limited" : "online";
}
