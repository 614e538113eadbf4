/**
 * The media process. Configuration: one JSON object as the first argument, or in HOLDFAST_MEDIA:
 * `{"run_dir": "/run/holdfast", "port_min": 20000, "port_max": 21999, "boot_id": "…", "practice": false, "lan": false}`.
 * It serves `media.sock` in `run_dir`, runs until SIGTERM or SIGINT, and needs no other process.
 */
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import { createLog } from "../base/log.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { startMedia } from "./media-process.ts";

interface Config {
  readonly run_dir: string;
  readonly port_min: number;
  readonly port_max: number;
  readonly boot_id: string;
  readonly practice: boolean;
  readonly lan?: boolean;
}

/** The configuration, or what is wrong with it in one line. */
function readConfig(text: string | undefined): Config | string {
  if (text === undefined) return "no configuration: give it as JSON in the first argument or in HOLDFAST_MEDIA";
  let value: Partial<Record<keyof Config, unknown>> | null;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `the configuration is no JSON: ${errorText(error)}`;
  }
  const { run_dir, port_min, port_max, boot_id, practice, lan } = value ?? {};
  if (typeof run_dir !== "string" || run_dir === "") return "run_dir: a folder is needed";
  if (!isPort(port_min)) return "port_min: a port from 1024 to 65535 is needed";
  if (!isPort(port_max) || port_max <= port_min) return "port_max: a port above port_min is needed";
  if (typeof boot_id !== "string" || boot_id === "") return "boot_id: a text is needed";
  if (typeof practice !== "boolean") return "practice: true or false is needed";
  if (lan !== undefined && typeof lan !== "boolean") return "lan: true or false is needed";
  return { run_dir, port_min, port_max, boot_id, practice, lan: lan === true };
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1024 && Number(value) <= 65535;
}

const config = readConfig(process.argv[2] ?? process.env.HOLDFAST_MEDIA);
if (typeof config === "string") {
  process.stderr.write(`media: ${config}\n`);
  process.exit(2);
}
const { run_dir, port_min, port_max, boot_id, practice, lan = false } = config;
if (practice) installPracticeGuard({ lan });
const log = createLog("media", { practice });
const media = await startMedia(
  { socket_path: join(run_dir, "media.sock"), port_min, port_max, boot_id, practice, lan },
  systemClock,
  log,
);
log.info("media ready", { port_min, port_max });
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => void media.close().then(() => process.exit(0)));
}
