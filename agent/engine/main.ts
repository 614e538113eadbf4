/**
 * The call engine: `--state-dir D --run-dir R [--practice] [--lan]`. It needs no other process to serve the LAN and to
 * take 911, and runs until SIGTERM or SIGINT.
 */
import description from "../../package.json" with { type: "json" };
import { systemClock } from "../base/clock.ts";
import { createLog } from "../base/log.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { processArguments } from "../base/process-arguments.ts";
import { endOnFault, processLife } from "../base/process-life.ts";
import { EngineProcess } from "./engine-process.ts";

const { state_dir, run_dir, practice, lan, boot_id } = processArguments();
if (practice) installPracticeGuard({ lan });
const log = createLog("engine", { practice });
endOnFault(log);

const engine = new EngineProcess({
  clock: systemClock,
  log,
  boot_id,
  practice,
  state_dir,
  run_dir,
  version: description.version,
});
const life = processLife(log, () => engine.stop());
life.ready({ config: await engine.start() });
