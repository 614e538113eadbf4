/** Which modem this is. The family decides which of the makers' own commands are worth asking. */
export type Family = "simcom" | "quectel" | "other";

const TEXT_MAX = 64;

export interface Identity {
  readonly family: Family;
  readonly manufacturer: string | undefined;
  readonly model: string | undefined;
  readonly firmware: string | undefined;
}

/** What `AT+CGMM`, `AT+CGMI` and `AT+CGMR` answer: a bare line, or with a name before it (`+CGMR: LE11B08SIM7600M22`). */
export function identityText(lines: readonly string[]): string | undefined {
  const text = lines[0]?.replace(/^\+?(CGM[IMR]|Revision|Model|Manufacturer)\s*:\s*/i, "").trim();
  return text === undefined || text === "" ? undefined : text.slice(0, TEXT_MAX);
}

export function identityOf(
  manufacturer: string | undefined,
  model: string | undefined,
  firmware: string | undefined,
): Identity {
  // A maker that says its name is believed; models are alike between makers (several have an EM-something).
  const name = manufacturer ?? model ?? "";
  const family: Family = /simcom|^(SIM|A)7[0-9]/i.test(name)
    ? "simcom"
    : /quectel|^(EC2|EG2|EG9|EM0|RM5|BG9)/i.test(name)
      ? "quectel"
      : "other";
  return { family, manufacturer, model, firmware };
}

/** Why the SIM cannot be used; undefined when it can. `code` is that of a `+CME ERROR` (TS 27.007 §9.2). */
export function simFault(lines: readonly string[], code: number | undefined): string | undefined {
  const text = lines
    .find((line) => line.startsWith("+CPIN:"))
    ?.slice(6)
    .trim();
  if (text === "READY") return undefined;
  if (text !== undefined && /NOT READY|NOT INSERTED|REMOVED/.test(text)) return "no SIM is inserted";
  if (text !== undefined) return `the SIM wants ${text.slice(0, TEXT_MAX)}`;
  if (code === 10) return "no SIM is inserted";
  if (code === 13 || code === 15) return "the SIM does not work";
  return undefined;
}
