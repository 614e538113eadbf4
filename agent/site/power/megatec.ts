/** Megatec Q1 (serial, 2400 8N1, lines end in CR), as far as reading a UPS goes. Pure: text in, values out. */

export interface Q1Reading {
  readonly input_v: number | undefined;
  readonly fault_v: number | undefined;
  readonly output_v: number | undefined;
  readonly load_percent: number | undefined;
  readonly frequency_hz: number | undefined;
  /** As sent: of one cell from an on-line UPS, of the whole battery from a standby one. */
  readonly battery_v: number | undefined;
  readonly temperature_c: number | undefined;
  readonly utility_fail: boolean;
  readonly battery_low: boolean;
  readonly bypass: boolean;
  readonly failed: boolean;
  /** Standby or line-interactive; false: on-line. */
  readonly standby: boolean;
  readonly testing: boolean;
  readonly shutting_down: boolean;
  readonly beeper: boolean;
}

/** Ranges outside which a number is a garbled line and not a measurement. */
const RANGES = [
  ["input_v", 0, 600],
  ["fault_v", 0, 600],
  ["output_v", 0, 600],
  ["load_percent", 0, 300],
  ["frequency_hz", 0, 100],
  ["battery_v", 0, 500],
  ["temperature_c", -20, 150],
] as const;

/**
 * Parses one line without its CR: `(208.4 140.0 208.4 034 59.9 2.05 35.0 00110000`, fields in V, V, V, %, Hz, V, °C and
 * eight status bits, 7 first. A field that the UPS does not know is `@` or dashes. Anything else that deviates makes
 * the whole line undefined: a half-read line must never look like a power failure.
 */
export function parseQ1(line: string): Q1Reading | undefined {
  if (line.length > 80 || !line.startsWith("(")) return undefined;
  const fields = line.slice(1).split(" ");
  const bits = fields[7];
  if (fields.length !== 8 || bits === undefined || !/^[01]{8}$/.test(bits)) return undefined;
  const numbers: Partial<Record<(typeof RANGES)[number][0], number>> = {};
  for (const [i, [name, low, high]] of RANGES.entries()) {
    const field = fields[i] ?? "";
    if (/^[@-][@.-]*$/.test(field)) continue;
    if (!/^-?[0-9]{1,4}(\.[0-9]{1,2})?$/.test(field)) return undefined;
    const value = Number(field);
    if (value < low || value > high) return undefined;
    numbers[name] = value;
  }
  const bit = (n: number) => bits[7 - n] === "1";
  return {
    input_v: numbers.input_v,
    fault_v: numbers.fault_v,
    output_v: numbers.output_v,
    load_percent: numbers.load_percent,
    frequency_hz: numbers.frequency_hz,
    battery_v: numbers.battery_v,
    temperature_c: numbers.temperature_c,
    utility_fail: bit(7),
    battery_low: bit(6),
    bypass: bit(5),
    failed: bit(4),
    standby: bit(3),
    testing: bit(2),
    shutting_down: bit(1),
    beeper: bit(0),
  };
}

const LINE_LIMIT = 256;

/** Cuts what comes over the line into lines at CR (and LF, which some add). Over-long ones are dropped whole. */
export class MegatecLines {
  #line = "";
  #overlong = false;

  push(text: string): string[] {
    const lines: string[] = [];
    for (const char of text) {
      if (char === "\r" || char === "\n") {
        if (this.#line !== "" || this.#overlong) lines.push(this.#overlong ? "" : this.#line);
        this.#line = "";
        this.#overlong = false;
      } else if (this.#line.length < LINE_LIMIT) this.#line += char;
      else this.#overlong = true;
    }
    return lines;
  }

  /** Forgets a half line, before a new question. */
  clear(): void {
    this.#line = "";
    this.#overlong = false;
  }
}
