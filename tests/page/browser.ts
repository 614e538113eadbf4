import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const ROOT = new URL("../../", import.meta.url).pathname;
const CHROMIUM = "/usr/bin/chromium";
const QUIET = [
  "--no-sandbox",
  "--headless",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** Pictures for people to look at; no test compares them. */
const PICTURES = join(ROOT, "lab-results", "page");

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Where the browser is missing on purpose (no Debian, no root), these tests are shown as skipped. */
export const without_browser = process.env.HOLDFAST_PEERS === "no";

/** The page, built from its sources as they are now, by the documented command. */
export function buildPage(): { readonly root: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), "holdfast-page-"));
  const { NODE_ENV: _, ...env } = process.env;
  execFileSync(
    process.execPath,
    ["node_modules/vite/bin/vite.js", "build", "web-ui", "--outDir", root, "--emptyOutDir", "--logLevel", "warn"],
    { cwd: ROOT, env, stdio: ["ignore", "ignore", "inherit"] },
  );
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) };
}

/** Playwright gives every launch a user data directory of its own and removes it. */
export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: QUIET });
}

export interface Opened {
  readonly page: Page;
  /** Errors of the console and of scripts, and requests that left the box. */
  readonly complaints: string[];
  close(): Promise<void>;
}

/** Opens the page as a reader in Denver would. */
export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions & { readonly fakeClock?: boolean } = {},
): Promise<Opened> {
  const { fakeClock = false, ...contextOptions } = options;
  const context = await browser.newContext({
    locale: "en-US",
    timezoneId: "America/Denver",
    viewport: { width: 1100, height: 900 },
    ...contextOptions,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asked elsewhere: ${request.url()}`);
  });
  if (fakeClock) await page.clock.install();
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** Violations of WCAG 2.0 to 2.2, A and AA, and of axe's best practices, one line each. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found: unknown = await page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(tags)} }).then(({ violations }) =>
       violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + " " + target + ": " + failureSummary)))`,
  );
  return found as string[];
}

export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}
