import { fieldsOf } from "./fields.ts";

/** A modem whose network has told no time wakes in 1980 or 2070, some in 2004: such years are not time. */
const FIRST_YEAR = 25;
const YEARS_END = 70;

/**
 * `+CCLK: "yy/MM/dd,hh:mm:ss±zz"` with the zone in quarters of an hour (TS 27.007 §8.15), as wall ms UTC. Undefined for
 * anything that is not a date, has no zone, or lies outside 2025–2069.
 */
export function parseCclk(line: string): number | undefined {
  const text = fieldsOf("+CCLK", line)?.[0]?.text ?? "";
  const match = /^([0-9]{2})\/([0-9]{2})\/([0-9]{2}),([0-9]{2}):([0-9]{2}):([0-9]{2})([+-][0-9]{2})$/.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, quarters = 0] = match.slice(1).map(Number);
  if (year < FIRST_YEAR || year >= YEARS_END || month < 1 || month > 12 || day < 1) return undefined;
  if (hour > 23 || minute > 59 || second > 60 || Math.abs(quarters) > 56) return undefined;
  const local = Date.UTC(2000 + year, month - 1, day, hour, minute, second);
  if (new Date(local - (second === 60 ? 1000 : 0)).getUTCDate() !== day) return undefined;
  return local - quarters * 15 * 60_000;
}
