import { type Field, fieldsOf, numberOf } from "./fields.ts";

/** `<stat>` of TS 27.007 §7.2 and §10.1.20–22, in words. */
export type Registration = "not_searching" | "home" | "searching" | "denied" | "unknown" | "roaming" | "emergency_only";

const STATS: readonly Registration[] = [
  "not_searching",
  "home",
  "searching",
  "denied",
  "unknown",
  "roaming",
  "home", // registered for SMS only, home
  "roaming", // registered for SMS only, roaming
  "emergency_only",
  "home", // CSFB not preferred, home
  "roaming", // CSFB not preferred, roaming
  "emergency_only",
];
const SMS_ONLY: readonly number[] = [6, 7];

export type RegistrationCommand = "+CREG" | "+CGREG" | "+CEREG" | "+C5GREG";

export interface RegistrationReport {
  readonly command: RegistrationCommand;
  readonly registration: Registration;
}

const COMMANDS: readonly RegistrationCommand[] = ["+CEREG", "+CREG", "+CGREG", "+C5GREG"];

/** Answer to the question `AT+CEREG?`: `n,stat[,"tac","ci",AcT…]`. */
export function parseRegistrationAnswer(line: string): RegistrationReport | undefined {
  return report(line, (fields) => {
    // The report `stat,"tac",…` has text where the answer has its second number.
    if (fields.length < 2 || numberOf(fields[0], 0, 5) === undefined) return undefined;
    return fields[1];
  });
}

/** The unsolicited report: `stat[,"tac","ci",AcT…]`. */
export function parseRegistrationReport(line: string): RegistrationReport | undefined {
  return report(line, (fields) => {
    if (fields.length > 1 && !fields[1]?.quoted && fields[1]?.text !== "") return undefined;
    return fields[0];
  });
}

function report(line: string, stat: (fields: readonly Field[]) => Field | undefined): RegistrationReport | undefined {
  for (const command of COMMANDS) {
    const fields = fieldsOf(command, line);
    if (fields === undefined) continue;
    const value = numberOf(stat(fields), 0, STATS.length - 1);
    if (value === undefined) return undefined;
    // Registered for SMS only carries neither data nor calls.
    const registration = SMS_ONLY.includes(value) ? "searching" : STATS[value];
    return registration === undefined ? undefined : { command, registration };
  }
  return undefined;
}

export interface Operator {
  /** Undefined: none is selected. */
  readonly name: string | undefined;
  /** Access technology, as people say it. */
  readonly technology: string | undefined;
}

/** TS 27.007 §7.3 `<AcT>`. */
const ACCESS = [
  "GSM",
  "GSM",
  "UMTS",
  "EDGE",
  "HSPA",
  "HSPA",
  "HSPA",
  "LTE",
  "EC-GSM-IoT",
  "NB-IoT",
  "LTE",
  "5G NR",
  "5G NR",
  "LTE + 5G NR",
] as const;

/** `+COPS: mode[,format,"operator"[,AcT]]`. */
export function parseCops(line: string): Operator | undefined {
  const fields = fieldsOf("+COPS", line);
  if (fields === undefined || numberOf(fields[0], 0, 4) === undefined) return undefined;
  const name = fields[2]?.quoted === true && fields[2].text.trim() !== "" ? fields[2].text.trim() : undefined;
  const access = numberOf(fields[3], 0, ACCESS.length - 1);
  return { name, technology: access === undefined ? undefined : ACCESS[access] };
}
