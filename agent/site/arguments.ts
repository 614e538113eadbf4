import { parseArgs } from "node:util";

export interface SiteArguments {
  readonly config_file: string;
  readonly state_dir: string;
  readonly run_dir: string;
  readonly practice: boolean;
  readonly lan: boolean;
}

/** Throws with a line for the terminal when something is missing or unknown. */
export function siteArguments(argv: readonly string[]): SiteArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      config: { type: "string" },
      "state-dir": { type: "string" },
      "run-dir": { type: "string" },
      practice: { type: "boolean", default: false },
      lan: { type: "boolean", default: false },
    },
  });
  const { config, "state-dir": state_dir, "run-dir": run_dir, practice, lan } = values;
  if (config === undefined || state_dir === undefined || run_dir === undefined) {
    throw new Error("usage: site --config FILE --state-dir DIR --run-dir DIR [--practice [--lan]]");
  }
  return { config_file: config, state_dir, run_dir, practice, lan };
}
