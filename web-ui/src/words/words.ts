import { ALARMS, type AlarmCode } from "../../../agent/base/alarms.ts";
import alarmsEs from "./alarms.es.json" with { type: "json" };
import en from "./en.json" with { type: "json" };
import es from "./es.json" with { type: "json" };

export type Language = "en" | "es";
export type Key = keyof typeof en;
export type Catalogue = Readonly<Record<Key, string>>;

interface AlarmText {
  readonly meaning: string;
  readonly action: string;
}

export const LANGUAGES: readonly Language[] = ["en", "es"];
export const CATALOGUES: Readonly<Record<Language, Catalogue>> = { en, es };
/** English is the alarm catalogue itself; a code without Spanish does not compile. */
const SPANISH_ALARMS: Readonly<Record<AlarmCode, AlarmText>> = alarmsEs;
const ALARM_TEXTS: Readonly<Record<Language, Readonly<Record<string, AlarmText>>>> = { en: ALARMS, es: SPANISH_ALARMS };

/** Everything the page says in one language: texts by key, and times, durations and numbers as that language writes them. */
export interface Words {
  readonly language: Language;
  t(key: Key, values?: Readonly<Record<string, string | number>>): string;
  /** The text of a word that came from the box (`health.` + `up`); one that this page does not know stands for itself. */
  named(prefix: string, word: string): string;
  /** Undefined for a code that this page does not know. */
  alarm(code: string): AlarmText | undefined;
  /** A wall time; with its date unless that is today's; "?" for what is no time. */
  time(wall_ms: number, now_wall: number): string;
  /** A length of time in its largest unit, rounded down: "5 min". Below zero counts as zero. */
  duration(length_ms: number): string;
  number(value: number, digits?: number): string;
  list(items: readonly string[]): string;
}

export interface WordsOptions {
  /** The reader's own locale, for the way times are written; one of another language is ignored. */
  readonly locale?: string | undefined;
  readonly timeZone?: string | undefined;
}

export function createWords(language: Language, { locale, timeZone }: WordsOptions = {}): Words {
  const written = locale?.toLowerCase().split("-")[0] === language ? locale : language;
  const zone = timeZone === undefined ? {} : { timeZone };
  const clock = new Intl.DateTimeFormat(written, { hour: "numeric", minute: "2-digit", second: "2-digit", ...zone });
  const dated = new Intl.DateTimeFormat(written, {
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
    second: "2-digit",
    ...zone,
  });
  const day = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", ...zone });
  const catalogue = CATALOGUES[language];
  const unit = (value: number, name: "second" | "minute" | "hour" | "day") =>
    unbroken(
      new Intl.NumberFormat(language, {
        style: "unit",
        unit: name,
        unitDisplay: name === "day" ? "long" : "short",
      }).format(value),
    );

  return {
    language,
    t: (key, values = {}) => catalogue[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? "")),
    named: (prefix, word) =>
      Object.hasOwn(catalogue, prefix + word) ? catalogue[(prefix + word) as Key] : String(word),
    alarm: (code) => (Object.hasOwn(ALARM_TEXTS[language], code) ? ALARM_TEXTS[language][code] : undefined),
    time(wall_ms, now_wall) {
      if (!isTime(wall_ms) || !isTime(now_wall)) return "?";
      const form = day.format(wall_ms) === day.format(now_wall) ? clock : dated;
      return unbroken(form.format(wall_ms));
    },
    duration(length_ms) {
      const seconds = Math.max(0, Math.floor(length_ms / 1000));
      if (seconds < 60) return unit(seconds, "second");
      if (seconds < 3600) return unit(Math.floor(seconds / 60), "minute");
      if (seconds < 48 * 3600) return unit(Math.floor(seconds / 3600), "hour");
      return unit(Math.floor(seconds / 86400), "day");
    },
    number: (value, digits = 0) => new Intl.NumberFormat(written, { maximumFractionDigits: digits }).format(value),
    list: (items) => new Intl.ListFormat(written, { type: "unit" }).format(items),
  };
}

/** A time or a duration stays on one line. */
function unbroken(text: string): string {
  return text.replace(/\s/g, "\u00a0");
}

/** Whether `Date` can hold it (ECMA-262 §21.4.1.1); formatting anything else throws. */
function isTime(wall_ms: number): boolean {
  return Math.abs(wall_ms) <= 8.64e15;
}

/** The first of the reader's languages that this page speaks. */
export function preferredLanguage(languages: readonly string[]): Language {
  for (const tag of languages) {
    const language = LANGUAGES.find((each) => each === tag.toLowerCase().split("-")[0]);
    if (language !== undefined) return language;
  }
  return "en";
}
