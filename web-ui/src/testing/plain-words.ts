import { createWords, type Language, type Words } from "../words/words.ts";

/** Words at UTC, with ordinary blanks where the page has unbreakable ones, so that expectations can be typed. */
export function plainWords(language: Language, locale: string): Words {
  const words = createWords(language, { locale, timeZone: "UTC" });
  return { ...words, duration: (length_ms) => words.duration(length_ms).replaceAll("\u00a0", " ") };
}
