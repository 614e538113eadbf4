import type { AlarmBoard } from "../base/alarms.ts";
import type { Clock } from "../base/clock.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import type { EventFactory, HoldfastEvent } from "../base/events.ts";
import type { Log } from "../base/log.ts";
import type { PowerStatus } from "../base/status.ts";

/** What the power part of this process is given. */
export interface PowerContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly alarms: AlarmBoard;
  readonly event: EventFactory;
  record(event: HoldfastEvent): void;
  /** The status has changed. */
  onChange(): void;
}

/** UPSs and GPIO inputs as the status document shows them. */
export interface PowerSource {
  readonly status: PowerStatus;
  /** Called at the start and after every change of the site file. */
  configure(config: SiteConfig): void;
  close(): void;
}

/** A box that knows nothing of its power says so. */
export function unknownPower(clock: Clock): PowerSource {
  const status: PowerStatus = { source: "unknown", since_wall: clock.wall(), ups: [], gpio: [] };
  return { status, configure() {}, close() {} };
}
