/**
 * Adapter: child_process. `npm run lab`: plays scenarios one after the other, each in namespaces made for it, and sums
 * up. The namespaces belong to a process that the kernel ends together with this one, so nothing outlives an interrupt.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { namespaceCommand } from "./private-namespaces.ts";
import type { Measured, RunRecord, Scenario } from "./scenario.ts";
import { scenarios, shortScenarios } from "./scenarios/all.ts";

const root = new URL("../../", import.meta.url).pathname;
const inside = new URL("./inside.ts", import.meta.url).pathname;
/** Over the scenario's own deadline, for set-up and clean-up. */
const GRACE_MS = 30_000;
const DEADLINE_MS = 120_000;

/** One run as the last line shows it. */
interface RunSummary {
  readonly name: string;
  readonly repetition: number;
  readonly ok: boolean;
  readonly duration_ms: number;
  readonly setup_ms: number;
  readonly measured: Measured;
  readonly failure?: string;
  readonly evidence?: string;
}

const usage = `npm run lab -- SCENARIO… | short | all [--repeat N] [--json] [--list] [--keep]
  --repeat N  each scenario N times
  --json      one last line with every measured value
  --list      the scenarios' names, one line each
  --keep      logs, captures and configurations of passed runs are kept too, as those of failed ones are
`;

let current: ChildProcess | undefined;
let interrupted = false;

async function play(
  scenario: Scenario,
  repetition: number,
  command: readonly string[],
  keep: boolean,
): Promise<RunSummary> {
  const results = join(root, "lab-results");
  // Two runs of the lab at a time do not meet: the name without a process id is taken when the run is over.
  const directory = join(results, `.running-${process.pid}-${scenario.name}-${repetition}`);
  mkdirSync(directory, { recursive: true });
  console.log(`\n=== ${scenario.name} (${repetition}): ${scenario.summary}`);
  const begun = Date.now();
  const [program = "", ...args] = [...command, process.execPath, inside, scenario.name, String(repetition), directory];
  const how = await new Promise<string>((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] });
    current = child;
    const late = setTimeout(() => child.kill("SIGKILL"), (scenario.deadline_ms ?? DEADLINE_MS) + GRACE_MS);
    child.once("error", (error) => resolve(`could not start: ${error.message}`));
    child.once("exit", (code, signal) => {
      clearTimeout(late);
      resolve(signal === null ? `exit ${code}` : `ended by ${signal}`);
    });
  });
  current = undefined;
  const file = join(directory, "run.json");
  const record = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as RunRecord) : undefined;
  const ok = record?.passed === true && how === "exit 0";
  const failure = ok ? undefined : (record?.failure ?? `the run left no record (${how})`);
  const kept = join(results, `${scenario.name}-${repetition}`);
  rmSync(kept, { recursive: true, force: true });
  if (ok && !keep) rmSync(directory, { recursive: true, force: true });
  else renameSync(directory, kept);
  const evidence = relative(root, kept);
  console.log(
    ok
      ? `=== ${scenario.name} (${repetition}): passed`
      : `=== ${scenario.name} (${repetition}): FAILED: ${failure}; see ${evidence}/`,
  );
  return {
    name: scenario.name,
    repetition,
    ok,
    duration_ms: record?.duration_ms ?? Date.now() - begun,
    setup_ms: record?.setup_ms ?? 0,
    measured: record?.measured ?? {},
    ...(failure === undefined ? {} : { failure }),
    ...(ok && !keep ? {} : { evidence }),
  };
}

/** What interrupted runs have left of their evidence. */
function sweep(): void {
  const results = join(root, "lab-results");
  for (const name of existsSync(results) ? readdirSync(results) : []) {
    const pid = name.match(/^\.running-(\d+)-/)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(results, name), { recursive: true, force: true });
  }
}

function choose(names: readonly string[]): readonly Scenario[] {
  return names.flatMap((name) => {
    if (name === "all") return scenarios;
    if (name === "short") return shortScenarios;
    const found = scenarios.find((scenario) => scenario.name === name);
    if (found === undefined) throw new Error(`there is no scenario "${name}"; --list names them all`);
    return [found];
  });
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      repeat: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
    },
  });
  if (values.list) {
    const width = Math.max(...scenarios.map((scenario) => scenario.name.length));
    for (const { name, summary } of scenarios) console.log(`${name.padEnd(width)}  ${summary}`);
    return 0;
  }
  const repeat = Number(values.repeat);
  if (positionals.length === 0 || !Number.isInteger(repeat) || repeat < 1) {
    console.error(usage);
    return 2;
  }
  const chosen = choose(positionals);
  if (process.platform !== "linux") throw new Error("the lab needs Linux namespaces");
  const command = namespaceCommand();
  sweep();
  const runs: RunSummary[] = [];
  for (let repetition = 1; repetition <= repeat; repetition++) {
    for (const scenario of chosen) {
      if (interrupted) break;
      runs.push(await play(scenario, repetition, command, values.keep));
    }
  }
  const failed = runs.filter((run) => !run.ok).length;
  console.log(`\n${runs.length - failed} passed, ${failed} failed`);
  if (values.json) console.log(JSON.stringify({ passed: runs.length - failed, failed, runs }));
  return interrupted ? 130 : failed > 0 ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interrupted = true;
    current?.kill("SIGKILL");
  });
}
main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(`lab: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  },
);
