/**
 * The media process: `--run-dir R [--port-min N --port-max N] [--practice] [--lan]`. It serves `media.sock` in the run
 * directory until SIGTERM or SIGINT, and needs no other process, no site file and no disk.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../base/clock.ts";
import { createLog } from "../base/log.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { processArguments } from "../base/process-arguments.ts";
import { endOnFault, processLife } from "../base/process-life.ts";
import { startMedia } from "./media-process.ts";

function port(text: string, name: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1024 && value <= 65535) return value;
  process.stderr.write(`media: ${name} is ${text}; a port from 1024 to 65535 is needed\n`);
  process.exit(2);
}

const { run_dir, practice, lan, boot_id } = processArguments();
const { values } = parseArgs({
  strict: false,
  options: { "port-min": { type: "string", default: "20000" }, "port-max": { type: "string", default: "21999" } },
});
const port_min = port(String(values["port-min"]), "--port-min");
const port_max = port(String(values["port-max"]), "--port-max");
if (port_max - port_min < 99) {
  process.stderr.write("media: --port-max must be at least --port-min + 99\n");
  process.exit(2);
}
if (practice) installPracticeGuard({ lan });
const log = createLog("media", { practice });
endOnFault(log);
const life = processLife(log, () => media.close());
const media = await startMedia(
  { socket_path: join(run_dir, "media.sock"), port_min, port_max, boot_id, practice, lan },
  systemClock,
  log,
);
life.ready({ port_min, port_max });
