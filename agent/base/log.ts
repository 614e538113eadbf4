import { pino } from "pino";

const FIELD_LIMIT = 256;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is being removed
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Text from the network made safe to show: control and bidirectional-override characters out, capped at 256. */
export function clean(text: string, limit = FIELD_LIMIT): string {
  const safe = text.slice(0, limit * 2).replace(UNSAFE, "");
  return safe.length > limit ? `${safe.slice(0, limit - 1)}…` : safe;
}

function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return clean(value);
  if (value instanceof Error) return clean((value.stack ?? value.message).replace(/\n\s*/g, " ⏎ "), 2048);
  if (Array.isArray(value)) return depth > 3 ? "[…]" : value.slice(0, 50).map((item) => cleanValue(item, depth + 1));
  if (typeof value === "object" && value !== null) return depth > 3 ? "{…}" : cleanFields(value, depth + 1);
  return value;
}

function cleanFields(fields: object, depth = 0): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields).slice(0, 50)) safe[clean(key, 64)] = cleanValue(value, depth);
  return safe;
}

/** One line of JSON per entry on standard output. Fields are made safe; the message is ours and constant. */
export interface Log {
  debug(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
  child(fields: object): Log;
}

type Level = "debug" | "info" | "warn" | "error";

function wrap(logger: pino.Logger): Log {
  const at = (level: Level) => (message: string, fields?: object) => {
    if (!logger.isLevelEnabled(level)) return;
    if (fields === undefined) logger[level](message);
    else logger[level](cleanFields(fields), message);
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => wrap(logger.child(cleanFields(fields))),
  };
}

/** The log of one process. `practice` is on every line of a rehearsal. */
export function createLog(process_name: string, options: { level?: Level; practice?: boolean } = {}): Log {
  return wrap(
    pino({
      level: options.level ?? "info",
      base: { process: process_name, ...(options.practice === true ? { practice: "PRACTICE" } : {}) },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    }),
  );
}

/** A log that says nothing, for tests. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};
