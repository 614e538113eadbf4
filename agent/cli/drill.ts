import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../base/clock.ts";
import { askOnce } from "./ask.ts";
import { directories } from "./directories.ts";
import { HELP } from "./help.ts";
import { PRACTICE_STATE } from "./practice.ts";

const LONGEST_MIN = 60;

/** `holdfast drill`: starts or stops a rehearsed outage on a running box. */
export async function drill(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      minutes: { type: "string" },
      config: { type: "string" },
      "state-dir": { type: "string" },
      "run-dir": { type: "string" },
    },
  });
  const action = positionals[0];
  const minutes = Number(values.minutes ?? "30");
  if ((action !== "start" && action !== "stop") || !Number.isFinite(minutes) || minutes <= 0) {
    console.error(HELP.drill);
    return 2;
  }
  if (minutes > LONGEST_MIN) {
    console.error(
      `--minutes: found ${values.minutes}; allowed: up to ${LONGEST_MIN}, or what the site file's drill.max_ms says.`,
    );
    return 2;
  }
  const state = values["state-dir"] ?? (values.config === undefined ? PRACTICE_STATE : "/var/lib/holdfast");
  const socket = join(directories(state, values["run-dir"]).run, "site.sock");
  const by = process.env.SUDO_USER ?? process.env.USER ?? "cli";
  if (action === "start") {
    const { drill, ends_wall } = await askOnce(systemClock, socket, "drill.start", {
      by,
      duration_ms: minutes * 60_000,
    });
    console.log(
      `Drill ${drill} has started: calls go as if the WAN were dead. It ends by itself at ${new Date(ends_wall).toLocaleTimeString()}.`,
    );
  } else {
    const { record } = await askOnce(systemClock, socket, "drill.stop", { by });
    const seconds = Math.round((record.ended_wall - record.started_wall) / 1000);
    const detection = record.detection_ms === undefined ? "not seen" : `${record.detection_ms} ms`;
    console.log(
      `Drill ${record.drill} has ended after ${seconds} s; survivable mode after ${detection}; ${record.calls} calls.`,
    );
  }
  return 0;
}
