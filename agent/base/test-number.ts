import { HoldfastError } from "./errors.ts";

/** Emergency numbers of the countries we know of, refused whatever the site file says. */
const EMERGENCY = ["911", "112", "999", "000", "110", "119", "111", "08", "15", "17", "18", "100", "101", "102", "103"];

/**
 * A number that test and drill code may dial. The constructor refuses every emergency number, however written: with
 * separators, a country code, an outside-line prefix, letters, or as a service URN. Code that may only rehearse takes
 * a TestNumber, so it cannot hold a real one.
 */
export class TestNumber {
  readonly digits: string;

  constructor(text: string, siteEmergencyNumbers: readonly string[] = []) {
    const digits = normalise(text);
    if (/sos/i.test(text)) refuse(text);
    if (digits.length === 0) throw new HoldfastError("number.emergency", `"${text.slice(0, 40)}" has no digits.`);
    const emergency = new Set([...EMERGENCY, ...siteEmergencyNumbers].filter((number) => number.length >= 3));
    for (const number of emergency) {
      // An extension may well end in 911; a prefix of up to three digits before a bare emergency number may not.
      if (digits === number || (digits.endsWith(number) && digits.length - number.length <= 3)) refuse(text);
    }
    this.digits = digits;
  }

  toString(): string {
    return this.digits;
  }
}

function refuse(text: string): never {
  throw new HoldfastError("number.emergency", `"${text.slice(0, 40)}" is or contains an emergency number.`);
}

const LETTERS = "22233344455566677778889999";

function normalise(text: string): string {
  let decoded = text;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    // Not an escape sequence after all: take the text as it stands.
  }
  return decoded
    .normalize("NFKC")
    .replace(/^(sips?|tel):/i, "")
    .replace(/[@;].*$/s, "")
    .toLowerCase()
    .replace(/[a-z]/g, (letter) => LETTERS.charAt(letter.charCodeAt(0) - 97))
    .replace(/\p{Nd}/gu, (digit) => digitValue(digit))
    .replace(/[^0-9]/g, "");
}

/** The value of a decimal digit of any script: Unicode keeps each script's ten digits in one run. */
function digitValue(digit: string): string {
  const code = digit.codePointAt(0) ?? 48;
  if (code < 128) return digit;
  let zero = code;
  while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
  return String((code - zero) % 10);
}
