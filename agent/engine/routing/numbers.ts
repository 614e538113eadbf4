import type { SiteConfig } from "../../base/config/schema.ts";

/** What a dialled number is to the outside world. */
export type OutsideNumber =
  | { readonly kind: "national"; readonly e164: string }
  | { readonly kind: "international"; readonly e164: string }
  | { readonly kind: "premium"; readonly e164: string }
  /** Short codes such as 988 or 211: the trunk gets them as they are. */
  | { readonly kind: "service"; readonly digits: string };

type Config = Pick<SiteConfig, "site" | "emergency">;

/** Premium rate, by country calling code and start of the national number. */
const PREMIUM: Readonly<Record<string, readonly string[]>> = {
  "1": ["900"],
  "44": ["9"],
  "49": ["900", "137"],
  "61": ["190"],
  "64": ["900"],
};

/** Pay-per-call exchange of every area of +1. */
const NANP_PREMIUM_EXCHANGE = "976";

/** Area codes of +1 outside the United States, its territories and Canada: calls there are international and dear. */
const NANP_ABROAD = new Set(
  "242 246 264 268 284 345 441 473 649 658 664 721 758 767 784 809 829 849 868 869 876".split(" "),
);

/**
 * E.164 of a number as people dial it, with or without an outside-line prefix; undefined when it is none. With country
 * code 1 the forms are 10 digits, 1 + 10 digits, 7 digits (the main number's area) and 011; elsewhere 0 and 00 lead.
 */
export function outsideNumber(dialled: string, config: Config): OutsideNumber | undefined {
  const text = dialled.replace(/[-.()\s]/g, "");
  const direct = read(text, config);
  if (direct !== undefined) return direct;
  for (const prefix of config.emergency.outside_prefixes) {
    const rest = text.startsWith(prefix) ? read(text.slice(prefix.length), config) : undefined;
    if (rest !== undefined) return rest;
  }
  return undefined;
}

/** E.164 of a number that a carrier or phone put into a URI; undefined for names. */
export function toE164(user: string, config: Config): string | undefined {
  const number = outsideNumber(user, config);
  return number === undefined || number.kind === "service" ? undefined : number.e164;
}

function read(text: string, config: Config): OutsideNumber | undefined {
  const country = config.site.country_code;
  if (/^\+[1-9][0-9]{6,14}$/.test(text)) return classifyE164(text, country);
  if (!/^[0-9]{3,18}$/.test(text)) return undefined;
  return country === "1" ? readNanp(text, config) : readOther(text, country);
}

function readNanp(text: string, config: Config): OutsideNumber | undefined {
  if (/^(?:[2-8]11|988)$/.test(text)) return { kind: "service", digits: text };
  if (/^011[1-9][0-9]{6,14}$/.test(text)) return classifyE164(`+${text.slice(3)}`, "1");
  if (/^1?[2-9][0-9]{2}[2-9][0-9]{6}$/.test(text)) return classifyE164(`+1${text.slice(-10)}`, "1");
  const area = /^\+1([2-9][0-9]{2})/.exec(config.site.main_number)?.[1];
  return area !== undefined && /^[2-9][0-9]{6}$/.test(text) ? classifyE164(`+1${area}${text}`, "1") : undefined;
}

function readOther(text: string, country: string): OutsideNumber | undefined {
  if (/^00[1-9][0-9]{6,14}$/.test(text)) return classifyE164(`+${text.slice(2)}`, country);
  if (/^0[1-9][0-9]{4,12}$/.test(text)) return classifyE164(`+${country}${text.slice(1)}`, country);
  return undefined;
}

function classifyE164(e164: string, country: string): OutsideNumber {
  if (!e164.startsWith(`+${country}`)) return { kind: "international", e164 };
  const national = e164.slice(1 + country.length);
  if (country === "1" && NANP_ABROAD.has(national.slice(0, 3))) return { kind: "international", e164 };
  if (country === "1" && national.slice(3, 6) === NANP_PREMIUM_EXCHANGE) return { kind: "premium", e164 };
  if ((PREMIUM[country] ?? []).some((start) => national.startsWith(start))) return { kind: "premium", e164 };
  return { kind: "national", e164 };
}
