import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { StatusDocument } from "../../agent/base/status.ts";
import {
  cutEngineFixture,
  emergencyCallFixture,
  engineFixture,
  eventFixture,
  modemFixture,
  NOW,
  silentFixture,
  statusFixture,
} from "../../web-ui/src/testing/status-fixture.ts";
import { buildPage, launch, type Opened, open, picture, violations, without_browser } from "./browser.ts";
import { FixtureServer } from "./fixture-server.ts";

const PRACTICE = statusFixture(engineFixture(), { practice: true, cable: { wan: "plugged" } });
const HOSTILE = `<script>window.hurt=1</script><img src=x onerror="window.hurt=2">${"W".repeat(200)}`;

describe.skipIf(without_browser)("the page tells the truth", () => {
  let browser: Browser;
  let built: ReturnType<typeof buildPage>;
  let opened: Opened | undefined;
  let server: FixtureServer;

  beforeAll(async () => {
    built = buildPage();
    browser = await launch();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    built?.remove();
  });
  beforeEach(() => async () => {
    await opened?.close();
    opened = undefined;
    await server?.close();
  });

  async function visit(status: StatusDocument, options: Parameters<typeof open>[2] = {}): Promise<Opened> {
    server = new FixtureServer(built.root, status);
    opened = await open(browser, await server.listen(), options);
    return opened;
  }

  test("a change arrives without being asked for", async () => {
    const { page, complaints } = await visit(statusFixture());
    await page.locator("#calls", { hasText: "Internet" }).waitFor();
    const asked = server.asked;
    server.show(statusFixture(cutEngineFixture()));
    await page.locator("#calls", { hasText: "Cellular" }).waitFor();
    expect(await page.title()).toBe("Cellular · 911 Ready, one path · Denver clinic · Holdfast");
    server.happen(eventFixture(5, "alarm.raised", { code: "path.down", severity: "major", detail: "wan" }));
    await page.locator("#events li", { hasText: "Alarm: A path out of the building is down." }).waitFor();
    expect(server.asked).toBe(asked);
    expect(complaints).toEqual([]);
  });

  test("when the box falls silent for 15 s, everything is unknown since its last word; a word heals it", async () => {
    const { page } = await visit(statusFixture(), { fakeClock: true });
    await page.locator("#calls", { hasText: "Internet" }).waitFor();
    server.mute = true;
    await page.clock.runFor(13_000);
    expect(await page.locator(".stale").count()).toBe(0);
    await page.clock.runFor(4000);
    await page.locator(".stale[role=alert]", { hasText: /unknown since 10:42:0\d\sAM/ }).waitFor();
    for (const id of ["calls", "emergency", "address", "phones", "signal", "power", "noc"]) {
      expect(await page.locator(`#${id} .headline`).textContent()).toBe("Unknown");
      expect(await page.locator(`#${id}`).textContent()).toMatch(/since 10:42:0\d\sAM/);
    }
    expect(await page.locator("main .tone-good").count()).toBe(0);
    expect(await page.title()).toMatch(/^Unknown/);
    expect(await violations(page)).toEqual([]);
    await picture(page, "silent-1100");

    server.mute = false;
    server.cutStreams();
    await page.clock.runFor(10_000);
    await page.locator("#calls", { hasText: "Internet" }).waitFor();
    expect(await page.locator(".stale").count()).toBe(0);
  }, 30_000);

  test("a box that never answers is not shown as good either", async () => {
    server = new FixtureServer(built.root, statusFixture());
    const url = await server.listen();
    opened = await open(browser, url, { fakeClock: true, serviceWorkers: "block" });
    const { page } = opened;
    await page.route("**/api/**", (route) => route.abort());
    await page.reload();
    await page.getByText("Asking the box…").waitFor();
    await page.clock.runFor(17_000);
    await page.locator(".stale", { hasText: "has not answered since this page was opened" }).waitFor();
    expect(await page.title()).toBe("Unknown · Holdfast");
  });

  test("a running 911 call stays in sight when the box falls silent, marked as what was last known", async () => {
    const { page } = await visit(statusFixture(cutEngineFixture({ calls: [emergencyCallFixture()] })), {
      fakeClock: true,
    });
    await page.locator(".banner911").waitFor();
    server.mute = true;
    await page.clock.runFor(17_000);
    await page.locator(".banner911", { hasText: "when the box was last heard" }).waitFor();
    await picture(page, "silent-call-911-1100");
  });

  test("where streams do not pass, the page asks every 5 s and stays fresh", async () => {
    server = new FixtureServer(built.root, statusFixture());
    server.refuseStreams = true;
    opened = await open(browser, await server.listen(), { fakeClock: true });
    const { page } = opened;
    await page.locator("#calls", { hasText: "Internet" }).waitFor();
    server.status = statusFixture(cutEngineFixture());
    server.events = [eventFixture(9, "config.applied", { config_hash: "a" })];
    await page.clock.runFor(6000);
    await page.locator("#calls", { hasText: "Cellular" }).waitFor();
    await page.locator("#events li", { hasText: "The site file was taken over" }).waitFor();
    await page.locator("footer", { hasText: "asks every 5 seconds" }).waitFor();
    server.refuseStreams = false;
    await page.clock.runFor(6000);
    await page.locator("footer", { hasText: "Live." }).waitFor();
    const { asked } = server;
    await page.clock.runFor(12_000);
    expect(server.asked).toBe(asked);
  });

  test("an engine that is away leaves its part unknown and the rest standing", async () => {
    const { page, complaints } = await visit(silentFixture("engine", NOW - 20_000));
    await page.locator("#emergency", { hasText: /since 10:41:47\sAM/ }).waitFor();
    expect(await page.locator("#emergency .headline").textContent()).toBe("Unknown");
    expect(await page.locator("#power .headline").textContent()).toBe("Mains");
    expect(complaints).toEqual([]);
  });

  test("a 911 call is a conspicuous alert on the first screen, and goes when it ends", async () => {
    const { page } = await visit(statusFixture(cutEngineFixture()), { viewport: { width: 390, height: 844 } });
    await page.locator("#calls", { hasText: "Cellular" }).waitFor();
    server.show(statusFixture(cutEngineFixture({ calls: [emergencyCallFixture()] })));
    const alert = page.locator(".banner911 [role=alert]");
    await alert.waitFor();
    const said = (await alert.textContent()) ?? "";
    for (const part of ["911 call: answered", "Room 2 (102)", "Floor 2, Room 2", "+1 303 555 0100"]) {
      expect(said).toContain(part);
    }
    expect(await page.locator(".banner911").textContent()).toMatch(/Started10:41:25\sAM/);
    expect((await alert.boundingBox())?.y).toBeLessThan(100);
    server.show(statusFixture(cutEngineFixture()));
    await alert.waitFor({ state: "detached" });
  });

  test("what comes from the network is text, whatever it says", async () => {
    const engine = cutEngineFixture({
      mode_reasons: [HOSTILE],
      site_location_lines: [HOSTILE, HOSTILE],
      calls: [emergencyCallFixture({ location_lines: [HOSTILE], callback_number: `${HOSTILE}1`, trunk: HOSTILE })],
    });
    const [phone] = engine.phones;
    const status = statusFixture(
      {
        ...engine,
        phones: phone === undefined ? [] : [{ ...phone, name: HOSTILE, location_label: HOSTILE }],
        emergency: { ...engine.emergency, reason: HOSTILE, checks: [{ name: HOSTILE, ok: false, detail: HOSTILE }] },
        paths: engine.paths.map((path) => ({
          ...path,
          evidence: [{ source: HOSTILE, verdict: "bad" as const, detail: HOSTILE, at_wall: NOW }],
        })),
      },
      {
        site: { id: "x", name: HOSTILE, main_number: HOSTILE },
        org: { id: "x", name: HOSTILE },
        box: { id: HOSTILE, version: HOSTILE, boot_id: "" },
        cellular: { modems: [modemFixture({ operator: HOSTILE })], alarms: [] },
        alarms: [{ code: "path.down", subject: HOSTILE, severity: "major", detail: HOSTILE, since_wall: NOW }],
      },
    );
    const { page, complaints } = await visit(status, { viewport: { width: 320, height: 640 } });
    server.happen(eventFixture(5, "mode.changed", { from: "normal", to: "survivable", reasons: [HOSTILE] }));
    await page.locator("#events li", { hasText: HOSTILE }).waitFor();
    await page.locator("h1", { hasText: HOSTILE }).waitFor();
    expect(await page.locator("#page script, #page img").count()).toBe(0);
    expect(await page.evaluate("window.hurt")).toBeUndefined();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(320);
    await picture(page, "hostile-320");
    expect(complaints).toEqual([]);
  });

  test("a document that makes no sense does not leave the last good one standing for long", async () => {
    const { page } = await visit(statusFixture(), { fakeClock: true });
    await page.locator("#calls", { hasText: "Internet" }).waitFor();
    const broken = { ...statusFixture(), engine: { ...engineFixture(), phones: 5, paths: null } };
    server.show(broken as unknown as StatusDocument);
    await page.locator(".stale").waitFor();
    expect(await page.locator(".tone-good").count()).toBe(0);
  });

  test("the language follows the reader and can be switched, for good", async () => {
    const { page } = await visit(statusFixture(), { locale: "es-MX" });
    await page.locator("#calls", { hasText: "Las llamadas salen por" }).waitFor();
    expect(await page.evaluate("document.documentElement.lang")).toBe("es");
    await page.getByRole("button", { name: "English" }).click();
    await page.locator("#calls", { hasText: "Calls go by" }).waitFor();
    expect(await page.evaluate("document.documentElement.lang")).toBe("en");
    await page.reload();
    await page.locator("#calls", { hasText: "Calls go by" }).waitFor();
  });

  describe("practice", () => {
    test("the cable is pulled and plugged", async () => {
      const { page, complaints } = await visit(PRACTICE);
      await page.getByRole("button", { name: "Pull the WAN cable" }).click();
      await expect.poll(() => server.posts).toEqual([{ path: "/api/v1/practice/cable", body: { wan: "pulled" } }]);
      server.show({ ...PRACTICE, engine: cutEngineFixture(), cable: { wan: "pulled" } });
      await page.locator("#desk", { hasText: "PULLED" }).waitFor();
      await page.getByRole("button", { name: "Plug the WAN cable in" }).click();
      await expect.poll(() => server.posts.at(-1)?.body).toEqual({ wan: "plugged" });
      expect(await page.title()).toMatch(/^PRACTICE · /);
      expect(await page.locator(".practice-strip").textContent()).toContain("simulated");
      expect(complaints).toEqual([]);
    });

    test("phone 101 calls the practice 911, and what happened is shown", async () => {
      const { page } = await visit(PRACTICE);
      server.answer = { status: 200, body: { ok: true, lines: ["Answered by the practice PSAP", HOSTILE] } };
      await page.getByRole("button", { name: "Let phone 101 call 911 (practice)" }).click();
      const result = page.locator("#desk [role=status]");
      await result.getByText("The call went through").waitFor();
      expect(await result.locator("li").allTextContents()).toEqual(["Answered by the practice PSAP", HOSTILE]);
      expect(server.posts).toEqual([{ path: "/api/v1/practice/call", body: { from: "101", to: "911" } }]);
      await picture(page, "practice-called-1100");
      server.answer = { status: 200, body: { ok: false, lines: ["No answer"] } };
      await page.getByRole("button", { name: "Let phone 101 call 911 (practice)" }).click();
      await result.getByText("The call did not go through").waitFor();
    });

    test("a refusal is told in the box's words", async () => {
      const { page } = await visit(PRACTICE);
      server.answer = { status: 503, body: { error: "link.closed", detail: "The practice world is away." } };
      await page.getByRole("button", { name: "Pull the WAN cable" }).click();
      await page.locator("#desk", { hasText: "The box refused: The practice world is away." }).waitFor();
    });

    test("the strip stays in sight however far one scrolls, and covers nothing that has the focus", async () => {
      const { page } = await visit(PRACTICE, { viewport: { width: 320, height: 640 } });
      await page.locator("#events").waitFor();
      await page.evaluate("scrollTo(0, document.body.scrollHeight)");
      const strip = await page.locator(".practice-strip").boundingBox();
      expect(strip?.y).toBe(0);
      await page.evaluate("scrollTo(0, 0)");
      for (const summary of await page.locator("summary").all()) {
        await summary.focus();
        expect((await summary.boundingBox())?.y).toBeGreaterThanOrEqual(strip?.height ?? 999);
      }
    });

    test("a real site has neither strip nor desk", async () => {
      const { page } = await visit(statusFixture());
      await page.locator("#calls").waitFor();
      expect(await page.locator(".practice-strip, .practice-mark, #desk").count()).toBe(0);
    });
  });
});
