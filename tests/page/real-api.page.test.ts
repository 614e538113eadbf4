import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { HoldfastEvent } from "../../agent/base/events.ts";
import { silentLog } from "../../agent/base/log.ts";
import { ManualClock } from "../../agent/base/manual-clock.ts";
import type { StatusDocument } from "../../agent/base/status.ts";
import { buildApi } from "../../agent/site/api/app.ts";
import {
  cutEngineFixture,
  engineFixture,
  eventFixture,
  statusFixture,
} from "../../web-ui/src/testing/status-fixture.ts";
import { buildPage, launch, type Opened, open, without_browser } from "./browser.ts";

/** The page and the box's own HTTP interface, so that neither agrees with a stand-in only. */
describe.skipIf(without_browser)("the page on the box's own interface", () => {
  let browser: Browser;
  let built: ReturnType<typeof buildPage>;
  let app: FastifyInstance;
  let opened: Opened;
  let clock: ManualClock;
  let status: StatusDocument;
  let asked: [type: string, question: unknown][];
  const statusListeners = new Set<(document: StatusDocument) => void>();
  const eventListeners = new Set<(event: HoldfastEvent) => void>();
  const stored: HoldfastEvent[] = [];

  beforeAll(async () => {
    built = buildPage();
    browser = await launch();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    built?.remove();
  });
  beforeEach(async () => {
    clock = new ManualClock();
    status = statusFixture(engineFixture(), { practice: true, cable: { wan: "plugged" } });
    asked = [];
    stored.length = 0;
    stored.push(eventFixture(1, "config.applied", { config_hash: "a" }, { practice: true }));
    const eventsAfter = (seq: number) => stored.filter((event) => event.seq > seq);
    const refuse = () => Promise.reject(new Error("the engine is not asked here"));
    app = await buildApi({
      practice: true,
      version: "0.1.0",
      log: silentLog,
      operations: {
        practice: true,
        ports: {
          status: () => status,
          drillMaxMs: () => 60_000,
          engine: refuse,
          practice: async (type, question) => {
            asked.push([type, question]);
            return { ok: true, lines: ["PRACTICE PSAP answered"] } as never;
          },
        },
      },
      store: {
        recentEvents: (limit) => stored.slice(-limit).reverse(),
        eventsAfter,
        calls: () => [],
        drills: () => [],
        callCounts: () => ({}),
        undelivered_dropped: 0,
        fault: undefined,
      },
      stream: {
        clock,
        status: () => status,
        onStatus: (listener) => {
          statusListeners.add(listener);
          return () => statusListeners.delete(listener);
        },
        onEvent: (listener) => {
          eventListeners.add(listener);
          return () => eventListeners.delete(listener);
        },
        eventsAfter,
        get lastSeq() {
          return stored.at(-1)?.seq ?? 0;
        },
      },
      ownHosts: () => new Set(),
      rolesOf: () => new Set(),
      locations: () => [],
      description: () => "",
      web_root: built.root,
    });
    await app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = app.server.address() as AddressInfo;
    opened = await open(browser, `http://127.0.0.1:${port}/`);
    return async () => {
      await opened.close();
      await app.close();
    };
  });

  test("status, change, event and beat arrive over the live line; nothing is complained of", async () => {
    const { page, complaints } = opened;
    await page.locator("#calls", { hasText: "Internet" }).waitFor();
    await page.locator("#events li", { hasText: "The site file was taken over" }).waitFor();
    status = { ...status, engine: cutEngineFixture(), cable: { wan: "pulled" } };
    for (const tell of statusListeners) tell(status);
    await page.locator("#calls", { hasText: "Cellular" }).waitFor();
    const event = eventFixture(
      2,
      "mode.changed",
      { from: "normal", to: "survivable", reasons: ["cloud is down"] },
      { practice: true },
    );
    stored.push(event);
    for (const tell of eventListeners) tell(event);
    await page.locator("#events li", { hasText: "The box works without the cloud" }).waitFor();
    // A beat alone moves the time of the last word.
    status = { ...status, now_wall: status.now_wall + 5000, noc: { ...status.noc, waiting_events: 3 } };
    clock.advance(5000);
    await page.locator("footer", { hasText: "Live. Last heard 10:42:1" }).waitFor();
    await page.locator("#noc", { hasText: "Events waiting for the NOC: 3" }).waitFor();
    expect(complaints).toEqual([]);
  });

  test("the practice desk's two buttons reach the practice world", async () => {
    const { page, complaints } = opened;
    await page.getByRole("button", { name: "Pull the WAN cable" }).click();
    await expect.poll(() => asked).toEqual([["practice.cable", { wan: "pulled" }]]);
    await page.getByRole("button", { name: "Let phone 101 call 911 (practice)" }).click();
    await page.locator("#desk", { hasText: "PRACTICE PSAP answered" }).waitFor();
    expect(asked.at(-1)).toEqual(["practice.call", { from: "101", to: "911" }]);
    expect(complaints).toEqual([]);
  });
});
