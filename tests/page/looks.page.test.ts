import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StatusDocument } from "../../agent/base/status.ts";
import {
  cutEngineFixture,
  emergencyCallFixture,
  engineFixture,
  eventFixture,
  NOW,
  silentFixture,
  statusFixture,
  stuckFixture,
} from "../../web-ui/src/testing/status-fixture.ts";
import { buildPage, launch, open, picture, violations, without_browser } from "./browser.ts";
import { FixtureServer } from "./fixture-server.ts";

const FIRST_SCREEN_BYTES = 40_000;

const emergency = {
  dialled: "911",
  extension: "ext-102",
  caller_number: "+13035550100",
  source: "10.20.0.32:5060",
  location_id: "loc-room-2",
  location_version: 1,
  location_lines: ["Acme Dental", "1776 E Colfax Avenue", "Floor 2, Room 2"],
  location_trusted: true,
};
const EVENTS = [
  eventFixture(97, "emergency.answered", { ...emergency, trunk: "lte-trunk", path: "lte", after_ms: 812 }),
  eventFixture(96, "emergency.attempt", {
    attempt: 1,
    trunk: "lte-trunk",
    path: "lte",
    outcome: "answered",
    sip_status: 200,
    after_ms: 812,
    hedged: false,
  }),
  eventFixture(95, "emergency.started", emergency),
  eventFixture(70, "mode.changed", { from: "normal", to: "survivable", reasons: ["cloud is down: path wan is down"] }),
  eventFixture(69, "path.health", {
    path: "wan",
    from: "suspect",
    to: "down",
    evidence: [{ source: "echo", verdict: "bad", detail: "10.40.0.9 is silent", at_wall: NOW - 310_000 }],
  }),
  eventFixture(12, "registration.added", {
    aor: "sip:102@pbx.example",
    extension: "ext-102",
    device: undefined,
    source: "10.20.0.32:5060",
    trust: "full",
  }),
];

const PEACE = statusFixture();
const CUT = statusFixture(cutEngineFixture(), {
  power: { ...PEACE.power, source: "battery", since_wall: NOW - 240_000 },
  noc: { ...PEACE.noc, state: "connecting", since_wall: NOW - 200_000, path: undefined, waiting_events: 14 },
});
const CALL911 = statusFixture(cutEngineFixture({ calls: [emergencyCallFixture()] }));
const PRACTICE = statusFixture(cutEngineFixture(), { practice: true, cable: { wan: "pulled" } });
const NOTHING = statusFixture(
  engineFixture({
    calls_go_by: "not_possible",
    mode: "survivable",
    site_location_lines: [],
    phones: [],
    emergency: {
      state: "not_ready",
      reason: "Every route for 911 is down: cloud, lte-trunk.",
      checks: [{ name: "route", ok: false, detail: "Every route for 911 is down: cloud, lte-trunk." }],
      routes: [],
    },
    alarms: [
      {
        code: "emergency.not_ready",
        subject: "",
        severity: "critical",
        detail: "Every route for 911 is down: cloud, lte-trunk.",
        since_wall: NOW - 60_000,
      },
    ],
  }),
);

const OFFLINE = { availability: "offline", registered_with: undefined } as const;
const RETURNED = statusFixture(
  engineFixture({
    stuck_phones: [
      stuckFixture(),
      stuckFixture({ number: "103", name: "Back office", why: "refused", sip_status: 403 }),
    ],
    phones: engineFixture().phones.map((phone, n) => {
      if (n === 0) return { ...phone, elsewhere: 1 };
      const detail =
        n === 1 ? "registered here, but not with the cloud since the return" : "it did not answer a request";
      const evidence = [{ source: "register", verdict: "bad" as const, detail, at_wall: NOW }];
      const [device] = phone.devices;
      const devices = device === undefined ? [] : [{ ...device, evidence }];
      if (n === 1)
        return {
          ...phone,
          availability: "limited",
          devices: devices.map((each) => ({ ...each, availability: "limited", registered_with: "box" })),
        };
      return { ...phone, availability: "offline", devices: devices.map((each) => ({ ...each, ...OFFLINE })) };
    }),
  }),
);

const STATES: readonly (readonly [name: string, status: StatusDocument])[] = [
  ["peace", PEACE],
  ["cut", CUT],
  ["call-911", CALL911],
  ["practice", PRACTICE],
  ["not-possible", NOTHING],
  ["returned", RETURNED],
  ["engine-away", silentFixture("engine", NOW - 20_000)],
];
const SCREENS = [
  ["1100", { viewport: { width: 1100, height: 900 } }],
  ["390", { viewport: { width: 390, height: 844 } }],
  ["320", { viewport: { width: 320, height: 640 } }],
  ["dark-390", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }],
  ["es-390", { viewport: { width: 390, height: 844 }, locale: "es-MX" }],
] as const;

const unfold = (page: Page, open: boolean) =>
  page.evaluate(`for (const each of document.querySelectorAll("details")) each.open = ${open}`);

describe.skipIf(without_browser)("the page on screens", () => {
  let browser: Browser;
  let built: ReturnType<typeof buildPage>;
  beforeAll(async () => {
    built = buildPage();
    browser = await launch();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    built?.remove();
  });

  describe.each(SCREENS)("%s", (screen, options) => {
    test.each(STATES)(
      "%s: accessible, no sideways scroll, targets of 44 px, no complaint",
      async (name, status) => {
        const server = new FixtureServer(built.root, status);
        server.events = [...EVENTS];
        const { page, complaints, close } = await open(browser, await server.listen(), options);
        try {
          await page.locator("#events li").first().waitFor();
          await unfold(page, true);
          await picture(page, `${name}-${screen}-open`);
          expect(await violations(page)).toEqual([]);
          expect(
            await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
          ).toBe(0);
          const small = await page.evaluate(
            `[...document.querySelectorAll("button, summary")].filter((each) => each.getBoundingClientRect().height < 44 ||
             each.getBoundingClientRect().width < 44).map((each) => each.textContent)`,
          );
          expect(small).toEqual([]);
          await unfold(page, false);
          await picture(page, `${name}-${screen}`);
          expect(complaints).toEqual([]);
        } finally {
          await close();
          await server.close();
        }
      },
      30_000,
    );
  });

  test("first screen within its bytes", () => {
    const files = readdirSync(built.root, { recursive: true, encoding: "utf8" }).filter((name) => /\.\w+$/.test(name));
    const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(built.root, name))).length, 0);
    expect(files.length).toBeGreaterThanOrEqual(4);
    expect(bytes).toBeLessThanOrEqual(FIRST_SCREEN_BYTES);
  });

  test("in peace the three big answers fit on a telephone's first screen", async () => {
    const server = new FixtureServer(built.root, PEACE);
    const { page, close } = await open(browser, await server.listen(), { viewport: { width: 390, height: 844 } });
    try {
      const box = await page.locator("#address").boundingBox();
      expect((box?.y ?? 0) + (box?.height ?? 9999)).toBeLessThanOrEqual(844);
    } finally {
      await close();
      await server.close();
    }
  });

  test("printed, a practice says so on every sheet", async () => {
    const server = new FixtureServer(built.root, PRACTICE);
    server.events = [...EVENTS];
    const { page, close } = await open(browser, await server.listen());
    try {
      await page.locator("#events li").first().waitFor();
      await page.emulateMedia({ media: "print" });
      await picture(page, "practice-print");
      await expect(page.locator(".practice-mark").isVisible()).resolves.toBe(true);
      expect(await page.evaluate(`getComputedStyle(document.querySelector(".practice-mark")).position`)).toBe("fixed");
      await expect(page.locator("#desk button").first().isVisible()).resolves.toBe(false);
      // What is folded on the screen is unfolded on paper.
      await expect(page.locator("#paths details li").first().isVisible()).resolves.toBe(true);
    } finally {
      await close();
      await server.close();
    }
  });

  test("without scripts the page says that nothing is known, and where the facts are", async () => {
    const server = new FixtureServer(built.root, PEACE);
    const { page, close } = await open(browser, await server.listen(), { javaScriptEnabled: false });
    try {
      expect(await page.locator("main").textContent()).toContain("is unknown");
      expect(await page.locator("noscript a").first().getAttribute("href")).toBe("/api/v1/status");
    } finally {
      await close();
      await server.close();
    }
  });
});
