import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

/** What every Holdfast process is told when it is started. */
export interface ProcessArguments {
  /** The site file. */
  readonly config: string;
  /** Persistent: database, snapshot. */
  readonly state_dir: string;
  /** On tmpfs: sockets, journals. */
  readonly run_dir: string;
  readonly practice: boolean;
  /** In practice: phones of the LAN are let in. */
  readonly lan: boolean;
  /** The kernel's boot id: events of one power-on share it over restarts of processes. */
  readonly boot_id: string;
}

/** Reads `--config F --state-dir D --run-dir R [--practice] [--lan]`; defaults are those of the installed box. */
export function processArguments(argv: readonly string[] = process.argv.slice(2)): ProcessArguments {
  const { values } = parseArgs({
    args: [...argv],
    strict: false,
    options: {
      config: { type: "string", default: "/etc/holdfast/site.yaml" },
      "state-dir": { type: "string", default: "/var/lib/holdfast" },
      "run-dir": { type: "string", default: "/run/holdfast" },
      practice: { type: "boolean", default: false },
      lan: { type: "boolean", default: false },
    },
  });
  return {
    config: String(values.config),
    state_dir: String(values["state-dir"]),
    run_dir: String(values["run-dir"]),
    practice: values.practice === true,
    lan: values.lan === true,
    boot_id: bootId(),
  };
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // Not Linux: then a boot lasts as long as the process.
    return randomUUID();
  }
}
