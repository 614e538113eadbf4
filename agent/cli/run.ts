import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../base/clock.ts";
import { faultText, loadConfig } from "../base/config/load.ts";
import { HoldfastError } from "../base/errors.ts";
import { readSnapshot } from "../base/snapshot.ts";
import { directories } from "./directories.ts";
import { HELP } from "./help.ts";
import { holdAlone } from "./only-one.ts";
import { untilStopped } from "./signals.ts";
import { createSupervisor } from "./supervisor.ts";

export const PROGRAMS = ["media", "engine", "cellular", "site"] as const;

export function program(name: string): string {
  return new URL(`../${name}/main.ts`, import.meta.url).pathname;
}

/** `holdfast run`: a real site's processes in the foreground. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { config: { type: "string" }, "state-dir": { type: "string" }, "run-dir": { type: "string" } },
  });
  const file = values.config;
  if (file === undefined) {
    console.error(HELP.run);
    return 2;
  }
  const dirs = directories(values["state-dir"] ?? "/var/lib/holdfast", values["run-dir"]);
  const loaded = loadConfig(file);
  if (loaded.ok && !loaded.config.live) {
    throw new HoldfastError("config.not_live", `${file} does not say \`live: true\`.`);
  }
  if (!(await holdAlone(join(dirs.run, "alone.sock")))) {
    console.error(`A box runs already on ${dirs.run}. Two on the same directories would take each other's calls.`);
    return 1;
  }
  if (!loaded.ok) {
    for (const fault of loaded.faults) console.error(faultText(fault));
    const last = readSnapshot(join(dirs.state, "snapshot.json"), false);
    console.error(
      "snapshot" in last
        ? "Running on with the last good site file."
        : "There is no earlier good site file: 911 is taken on built-in defaults until this one is corrected.",
    );
  }
  const supervisor = createSupervisor({
    clock: systemClock,
    log_dir: undefined,
    onDeath: (name, how) => console.error(`holdfast: ${name} ended (${how}); starting it again`),
  });
  const { port_min, port_max } = loaded.ok ? loaded.config.media : { port_min: 20000, port_max: 21999 };
  const ports = ["--port-min", String(port_min), "--port-max", String(port_max)];
  const common = ["--config", file, "--state-dir", dirs.state, "--run-dir", dirs.run];
  for (const name of PROGRAMS) {
    const args = name === "media" ? [...common, ...ports] : common;
    supervisor.start({ name, program: program(name), args }).catch(() => {});
  }
  await untilStopped();
  await supervisor.stop();
  return 0;
}
