/** Every job of the bench; those that want the machine for themselves come first. */
import { coldStart } from "./cold-start.ts";
import { detection } from "./detection.ts";
import { falseDetections } from "./false-detections.ts";
import { firstSecond } from "./first-second.ts";
import type { Job } from "./job.ts";
import { linkEvents } from "./link-events.ts";
import { load } from "./load.ts";
import { storm } from "./storm.ts";
import { wrongHedges } from "./wrong-hedges.ts";

export const jobs: readonly Job[] = [
  ...load,
  ...storm,
  ...coldStart,
  ...firstSecond,
  ...linkEvents,
  ...falseDetections,
  ...wrongHedges,
  ...detection,
];
