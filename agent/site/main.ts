/**
 * The site process: store, NOC, status page, site file and everything else that a call can do without. Arguments:
 * `--config FILE --state-dir DIR --run-dir DIR [--practice [--lan]]`. Serves `site.sock` in the run directory.
 */
import { systemClock } from "../base/clock.ts";
import { createLog } from "../base/log.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { processArguments } from "../base/process-arguments.ts";
import { endOnFault, processLife } from "../base/process-life.ts";
import { startSite } from "./site.ts";

const { config, state_dir, run_dir, practice, lan, boot_id } = processArguments();
if (practice) installPracticeGuard({ lan });
const log = createLog("site", { practice });
endOnFault(log);
const site = await startSite({
  config_file: config,
  state_dir,
  run_dir,
  practice,
  lan,
  boot_id,
  clock: systemClock,
  log,
});
processLife(log, () => site.close()).ready({ listening: site.listening() });
