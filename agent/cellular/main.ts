/**
 * The cellular process: `--config F --state-dir D --run-dir R [--practice]`. Sole owner of the modems' serial ports. It
 * needs no other process and runs until SIGTERM or SIGINT.
 */
import description from "../../package.json" with { type: "json" };
import { systemClock } from "../base/clock.ts";
import { createLog } from "../base/log.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { processArguments } from "../base/process-arguments.ts";
import { endOnFault, processLife } from "../base/process-life.ts";
import { startCellular } from "./cellular-process.ts";

const { config: config_file, state_dir, run_dir, practice, boot_id } = processArguments();
if (practice) installPracticeGuard({ lan: false });
const log = createLog("cellular", { practice });
endOnFault(log);
const cellular = startCellular({
  config_file,
  state_dir,
  run_dir,
  practice,
  boot_id,
  version: description.version,
  clock: systemClock,
  log,
});
processLife(log, () => cellular.stop()).ready();
