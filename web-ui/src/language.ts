import { computed, signal } from "@preact/signals";
import { createWords, LANGUAGES, type Language, preferredLanguage } from "./words/words.ts";

const KEPT_AS = "holdfast.language";

/** Storage may be switched off; then the choice lasts as long as the page. */
function kept(): Language | undefined {
  try {
    const value = localStorage.getItem(KEPT_AS);
    return LANGUAGES.find((each) => each === value);
  } catch {
    return undefined;
  }
}

export const language = signal<Language>(kept() ?? preferredLanguage(navigator.languages));

export const words = computed(() => {
  const locale = navigator.languages.find((tag) => tag.toLowerCase().split("-")[0] === language.value);
  return createWords(language.value, { locale });
});

export function choose(chosen: Language): void {
  language.value = chosen;
  try {
    localStorage.setItem(KEPT_AS, chosen);
  } catch {
    // See above.
  }
}
