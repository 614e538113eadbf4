import { describe, expect, test } from "vitest";
import { ALARMS } from "../../../agent/base/alarms.ts";
import alarmsEs from "./alarms.es.json" with { type: "json" };
import { CATALOGUES, createWords, type Key, preferredLanguage } from "./words.ts";

const placeholders = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
const NOON = Date.UTC(2026, 10, 20, 12, 0, 5);

describe("message catalogues", () => {
  test("Spanish says everything that English says, with the same values in it", () => {
    const { en, es } = CATALOGUES;
    expect(Object.keys(es)).toEqual(Object.keys(en));
    for (const key of Object.keys(en) as Key[])
      expect([key, placeholders(es[key])]).toEqual([key, placeholders(en[key])]);
  });

  test("every alarm has its Spanish, and no other has", () => {
    expect(Object.keys(alarmsEs).sort()).toEqual(Object.keys(ALARMS).sort());
    expect(createWords("en").alarm("path.down")?.meaning).toBe(ALARMS["path.down"].meaning);
    expect(createWords("es").alarm("path.down")?.meaning).toContain("caída");
  });

  test("no text is empty", () => {
    const { en, es } = CATALOGUES;
    expect([...Object.values(en), ...Object.values(es)].filter((text) => text.trim() === "")).toEqual([]);
  });
});

describe("words", () => {
  const english = createWords("en", { locale: "en-US", timeZone: "UTC" });

  test("values are put in; a missing one leaves nothing behind", () => {
    expect(english.t("phones.headline", { online: 3, all: 4 })).toBe("3 of 4");
    expect(english.t("phones.headline", { online: 3 })).toBe("3 of ");
  });

  test("a value that looks like a placeholder is left alone", () => {
    expect(english.t("event.other", { type: "{all}" })).toBe("Event {all}");
  });

  test("today's times are without a date, others with it", () => {
    expect(english.time(NOON, NOON + 1000)).toBe("12:00:05\u00a0PM");
    expect(english.time(NOON - 86_400_000, NOON)).toContain("Nov\u00a019");
    expect(createWords("es", { locale: "es-ES", timeZone: "UTC" }).time(NOON, NOON)).toBe("12:00:05");
  });

  test("a time that is no time is shown as not known instead of breaking the page", () => {
    expect(english.time(Number.NaN, NOON)).toBe("?");
    expect(english.time(Number.MAX_VALUE, NOON)).toBe("?");
  });

  test("the reader's own way of writing times, if it is of the same language", () => {
    expect(createWords("en", { locale: "en-GB", timeZone: "UTC" }).time(NOON, NOON)).toBe("12:00:05");
    expect(createWords("en", { locale: "es-MX", timeZone: "UTC" }).time(NOON, NOON)).toBe("12:00:05\u00a0PM");
  });

  test.each([
    [-5000, "0 sec"],
    [59_999, "59 sec"],
    [60_000, "1 min"],
    [3_600_000, "1 hr"],
    [47 * 3_600_000, "47 hr"],
    [72 * 3_600_000, "3 days"],
  ])("%d ms lasts %s", (length_ms, said) => {
    expect(english.duration(length_ms)).toBe(said.replace(" ", "\u00a0"));
  });

  test("a word of the box that the page does not know stands for itself", () => {
    expect(english.named("health.", "up")).toBe("Up");
    expect(english.named("health.", "confused")).toBe("confused");
    expect(english.alarm("constructor")).toBeUndefined();
  });
});

test("the first language of the reader that the page speaks, else English", () => {
  expect(preferredLanguage(["fr-CA", "es-MX", "en"])).toBe("es");
  expect(preferredLanguage(["de", "fr"])).toBe("en");
  expect(preferredLanguage([])).toBe("en");
});
