/** Final result codes (ITU-T V.250 §5.7, TS 27.007 §9.2, TS 27.005 §3.2.5). */
export type Final =
  | { readonly type: "ok" }
  | {
      readonly type: "error";
      readonly text: string;
      readonly cme: number | undefined;
      readonly cms: number | undefined;
    };

/** Final for dialling and answering only; at any other time they are news of a call. */
const CALL_FINALS = ["NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE"];

/** The final result that this line is for that command, or undefined. */
export function finalOf(line: string, command: string): Final | undefined {
  if (line === "OK") return { type: "ok" };
  if (line === "ERROR" || line === "COMMAND NOT SUPPORT") return error(line, undefined, undefined);
  const extended = /^\+(CME|CMS) ERROR:\s*(.*)$/.exec(line);
  if (extended !== null) {
    const code = /^[0-9]{1,4}$/.test(extended[2] ?? "") ? Number(extended[2]) : undefined;
    return extended[1] === "CME" ? error(line, code, undefined) : error(line, undefined, code);
  }
  if (CALL_FINALS.includes(line) && /^AT(D|A$)/i.test(command)) return error(line, undefined, undefined);
  return undefined;
}

function error(text: string, cme: number | undefined, cms: number | undefined): Final {
  return { type: "error", text: text.slice(0, 120), cme, cms };
}
