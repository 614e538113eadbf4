// npm test: types, lint, unit, import rules and the short live scenarios. With --full: everything, long ones included,
// and a JSON summary. The last line is `N passed, N failed`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureInstalled, ensureWeb, pinnedNode, root } from "./bootstrap.mjs";
import { ensurePeers } from "./peers.mjs";

const full = process.argv.includes("--full");
const started = Date.now();
const results = [];
const scratch = mkdtempSync(join(tmpdir(), "holdfast-test-"));

function note(name, passed, failed, skipped, seconds, detail) {
  results.push({
    name,
    passed,
    failed,
    skipped,
    seconds: Math.round(seconds * 10) / 10,
    ...(detail ? { detail } : {}),
  });
  const verdict = failed > 0 ? "FAILED" : passed > 0 ? "ok" : "skipped";
  console.log(
    `--- ${name}: ${verdict} (${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}; ${seconds.toFixed(1)} s)`,
  );
}

/** Runs one program under the pinned Node and counts it as one check, or as `count` says. */
function step(name, args, options = {}) {
  console.log(`\n=== ${name}`);
  const begun = Date.now();
  const done = spawnSync(pinnedNode, args, {
    cwd: root,
    stdio: ["ignore", options.capture ? "pipe" : "inherit", "inherit"],
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    timeout: options.timeout_ms ?? 300_000,
    env: { ...process.env, ...options.env },
  });
  const seconds = (Date.now() - begun) / 1000;
  if (options.count) {
    const counted = options.count(done);
    note(name, counted.passed, counted.failed, counted.skipped ?? 0, seconds, counted.detail);
  } else note(name, done.status === 0 ? 1 : 0, done.status === 0 ? 0 : 1, 0, seconds);
}

ensureInstalled();
ensureWeb();
const tool = (path) => join("node_modules", path);

step("types", [tool("typescript/bin/tsc"), "-p", "tsconfig.json"]);
step("types of the page", [tool("typescript/bin/tsc"), "-p", "web-ui/tsconfig.json"]);
step("lint and format", [tool("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."]);

const why = ensurePeers();
const report = join(scratch, "unit.json");
step(
  "unit, import rules and scenarios in one process",
  [tool("vitest/vitest.mjs"), "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
  {
    env: { HOLDFAST_PEERS: why === undefined ? "yes" : "no" },
    count(done) {
      try {
        const summary = JSON.parse(readFileSync(report, "utf8"));
        const left = summary.numPendingTests + (summary.numTodoTests ?? 0);
        // Where everything is there to run them, tests that did not run have failed.
        const failed = summary.numFailedTests + (why === undefined ? left : 0);
        return {
          passed: summary.numPassedTests,
          failed: failed + (done.status !== 0 && failed === 0 ? 1 : 0),
          skipped: why === undefined ? 0 : left,
        };
      } catch {
        return { passed: 0, failed: 1 };
      }
    },
  },
);

/** The lab's last line has one entry per run: { name, ok, … }. */
function countLab(done) {
  const said = (done.stdout ?? "").trimEnd();
  const last = said.split("\n").at(-1) ?? "";
  process.stdout.write(said.slice(0, said.length - last.length));
  try {
    const { runs } = JSON.parse(last);
    const failed = runs.filter((run) => !run.ok).length;
    return { passed: runs.length - failed, failed: failed + (done.status !== 0 && failed === 0 ? 1 : 0), detail: runs };
  } catch {
    console.error(last);
    return { passed: 0, failed: 1 };
  }
}

const skipped = [];
if (why === undefined) {
  // Labs mostly wait.
  const which = [...(full ? ["all", "--repeat", "3"] : ["short"]), "--at-once", "2"];
  step(`live scenarios (${which[0]})`, ["scripts/lab.mjs", ...which, "--json"], {
    capture: true,
    count: countLab,
    timeout_ms: full ? 4_500_000 : 600_000,
  });
  step("practice site, seen from outside", ["tests/practice/main.ts"], { timeout_ms: 120_000 });
  if (full) step("bench", ["scripts/bench.mjs", "--json"], { timeout_ms: 4_500_000 });
} else {
  skipped.push(`live scenarios, practice site and bench: ${why}`);
  note("live scenarios", 0, 0, 1, 0);
}

const sum = (key) => results.reduce((total, result) => total + result[key], 0);
const [passed, failed, left] = [sum("passed"), sum("failed"), sum("skipped")];
for (const line of skipped) console.log(`Not run: ${line}`);
if (full) {
  const file = join(root, "verify-full.json");
  writeFileSync(
    file,
    `${JSON.stringify({ seconds: Math.round((Date.now() - started) / 1000), passed, failed, skipped: left, results }, null, 2)}\n`,
  );
  console.log(`Summary: ${file}`);
}
console.log(`\nTook ${Math.round((Date.now() - started) / 1000)} s.`);
console.log(`${passed} passed, ${failed} failed${left > 0 ? `, ${left} skipped` : ""}`);
process.exit(failed > 0 ? 1 : 0);
