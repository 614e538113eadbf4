import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import { readSnapshot } from "../base/snapshot.ts";
import { askOnce } from "./ask.ts";
import { directories } from "./directories.ts";
import { HELP } from "./help.ts";
import { holdAlone } from "./only-one.ts";
import { PROGRAMS, program } from "./run.ts";
import { untilStopped } from "./signals.ts";
import { createSupervisor } from "./supervisor.ts";

/** Where the practice box keeps its state: beside the program, out of the way of any real box. */
export const PRACTICE_STATE = new URL("../../.holdfast/practice", import.meta.url).pathname;

/** `holdfast practice`: the practice site, or a word to the one that is running. */
export async function practice(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      lan: { type: "boolean", default: false },
      "state-dir": { type: "string" },
      "run-dir": { type: "string" },
    },
  });
  const dirs = directories(values["state-dir"] ?? PRACTICE_STATE, values["run-dir"]);
  const socket = join(dirs.run, "practice.sock");
  const [action, first, second] = positionals;

  if (action === "call" && first !== undefined && second !== undefined) {
    const { lines, ok } = await askOnce(systemClock, socket, "practice.call", { from: first, to: second }, 75_000);
    for (const line of lines) console.log(line);
    return ok ? 0 : 1;
  }
  if (action === "cable" && (first === "pull" || first === "plug")) {
    const { wan } = await askOnce(systemClock, socket, "practice.cable", {
      wan: first === "pull" ? "pulled" : "plugged",
    });
    console.log(`PRACTICE: the WAN cable is ${wan}.`);
    return 0;
  }
  if (action !== undefined) {
    console.error(HELP.practice);
    return 2;
  }

  const snapshot = join(dirs.state, "snapshot.json");
  if ("snapshot" in readSnapshot(snapshot, false)) {
    console.error(`${dirs.state} belongs to a real box, and practice keeps away from it. Give another --state-dir.`);
    return 1;
  }
  if (!(await holdAlone(join(dirs.run, "alone.sock")))) {
    console.error(
      "The practice site runs already, in another terminal, and its card stands there. A second one beside it needs a --state-dir of its own.",
    );
    return 1;
  }
  const supervisor = createSupervisor({
    clock: systemClock,
    log_dir: join(dirs.state, "log"),
    onDeath: (name, how) =>
      console.error(`${name} ended (${how}); starting it again. Its log: ${join(dirs.state, "log", `${name}.log`)}`),
  });
  const where = ["--state-dir", dirs.state, "--run-dir", dirs.run, "--practice", ...(values.lan ? ["--lan"] : [])];
  try {
    const world = await supervisor.start({ name: "practice", program: program("practice"), args: where });
    const args = ["--config", String(world.config_file), ...where];
    const start = (name: string) => supervisor.start({ name, program: program(name), args });
    // The very first time there is no snapshot yet: it is waited for, so that a newcomer's first alarm is not about it.
    const first = "snapshot" in readSnapshot(snapshot, true) ? [] : ["site"];
    for (const name of first) await start(name);
    await Promise.all(PROGRAMS.filter((name) => !first.includes(name)).map(start));
    console.log(String(world.card));
  } catch (error) {
    console.error(
      `The practice site could not start: ${errorText(error)}. The logs are in ${join(dirs.state, "log")}.`,
    );
    await supervisor.stop();
    return 1;
  }
  await untilStopped();
  console.log("\nEnding the practice site …");
  await supervisor.stop();
  return 0;
}
