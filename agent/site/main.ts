/**
 * The site process: store, NOC, status page, site file and everything else that a call can do without. Arguments:
 * `--config FILE --state-dir DIR --run-dir DIR [--practice [--lan]]`. Serves `site.sock` in the run directory.
 */
import { systemClock } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import { createLog } from "../base/log.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { processLife } from "../base/process-life.ts";
import { type SiteArguments, siteArguments } from "./arguments.ts";
import { startSite } from "./site.ts";

function argumentsOrExit(): SiteArguments {
  try {
    return siteArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    process.exit(2);
  }
}

const given = argumentsOrExit();
if (given.practice) installPracticeGuard({ lan: given.lan });
const log = createLog("site", { practice: given.practice });
// What nobody expected ends the process: the supervisor starts it again, and journals and store hold what was known.
for (const kind of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(kind, (error) => {
    log.error("ending after an unexpected error", { kind, detail: errorText(error) });
    process.exit(1);
  });
}
const site = await startSite({ ...given, clock: systemClock, log });
processLife(log, () => site.close()).ready({ listening: site.listening() });
