/**
 * The media process. Configuration: one JSON object as the first argument, or in HOLDFAST_MEDIA:
 * `{"run_dir": "/run/holdfast", "port_min": 20000, "port_max": 21999, "boot_id": "…", "practice": false, "lan": false}`.
 * It serves `media.sock` in `run_dir`, runs until SIGTERM or SIGINT, and needs no other process.
 */
import { join } from "node:path";
import { type Static, Type } from "typebox";
import { Errors } from "typebox/value";
import { systemClock } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import { createLog } from "../base/log.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { startMedia } from "./media-process.ts";

const Config = Type.Object({
  run_dir: Type.String({ minLength: 1 }),
  port_min: Type.Integer({ minimum: 1024, maximum: 65534 }),
  port_max: Type.Integer({ minimum: 1025, maximum: 65535 }),
  boot_id: Type.String({ minLength: 1 }),
  practice: Type.Boolean(),
  lan: Type.Optional(Type.Boolean()),
});

/** The configuration, or what is wrong with it in one line. */
function readConfig(text: string | undefined): Static<typeof Config> | string {
  if (text === undefined) return "no configuration: give it as JSON in the first argument or in HOLDFAST_MEDIA";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `the configuration is no JSON: ${errorText(error)}`;
  }
  const [fault] = Errors(Config, value);
  if (fault !== undefined) return `${fault.instancePath || "the configuration"} ${fault.message}`;
  return value as Static<typeof Config>;
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
