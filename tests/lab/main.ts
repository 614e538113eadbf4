/**
 * Adapter: child_process. `npm run lab`: plays scenarios one after the other, each in namespaces made for it, and sums
 * up. The namespaces belong to a process that the kernel ends together with this one, so nothing outlives an interrupt.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { namespaceCommand } from "./private-namespaces.ts";
import {
  deadlineOf,
  type Measured,
  type RunRecord,
  recordFile,
  type Scenario,
  type Stage,
  stageOf,
} from "./scenario.ts";
import { scenarios, shortScenarios } from "./scenarios/all.ts";

const root = new URL("../../", import.meta.url).pathname;
const inside = new URL("./inside.ts", import.meta.url).pathname;
/** Over the scenarios' own deadlines, for set-up and clean-up. */
const GRACE_MS = 90_000;

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

const usage = `npm run lab -- SCENARIO… | short | all [--repeat N] [--at-once N] [--json] [--list] [--keep]
  --repeat N  each scenario N times
  --at-once N so many labs at a time; what they say is printed when each is over
  --json      one last line with every measured value
  --list      the scenarios' names, one line each
  --keep      logs, captures and configurations of passed runs are kept too, as those of failed ones are
`;

const running = new Set<ChildProcess>();
let interrupted = false;

/** Scenarios that are played in one lab: those of a stage, or one alone. */
interface Batch {
  readonly name: string;
  readonly scenarios: readonly Scenario[];
}

/** In the order of first mention; what shares a stage stands together. */
function batches(chosen: readonly Scenario[]): readonly Batch[] {
  const byStage = new Map<Stage, Scenario[]>();
  const all: { name: string; scenarios: Scenario[] }[] = [];
  for (const scenario of chosen) {
    const stage = stageOf(scenario);
    const known = stage === undefined ? undefined : byStage.get(stage);
    if (known !== undefined) {
      known.push(scenario);
      continue;
    }
    const scenarios = [scenario];
    if (stage !== undefined) byStage.set(stage, scenarios);
    all.push({ name: stage?.name ?? scenario.name, scenarios });
  }
  return all;
}

/** Plays a batch to its end. After a scenario that fails, the rest is played in a new lab. */
async function playBatch(batch: Batch, repetition: number, how: Playing): Promise<readonly RunSummary[]> {
  const runs: RunSummary[] = [];
  while (runs.length < batch.scenarios.length && !interrupted) {
    const rest = { name: batch.name, scenarios: batch.scenarios.slice(runs.length) };
    runs.push(...(await play(rest, repetition, how)));
  }
  return runs;
}

interface Playing {
  /** How a program gets namespaces of its own. */
  readonly command: readonly string[];
  readonly keep: boolean;
  /** Others are playing too: output comes in one piece at the end. */
  readonly among_others: boolean;
}

/** One lab: the scenarios of a batch up to the first that fails. At least one run comes of it. */
async function play(
  { name, scenarios }: Batch,
  repetition: number,
  { command, keep, among_others }: Playing,
): Promise<readonly RunSummary[]> {
  const results = join(root, "lab-results");
  // Two runs of the lab at a time do not meet: the name without a process id is taken when the run is over.
  const directory = join(results, `.running-${process.pid}-${name}-${repetition}`);
  mkdirSync(directory, { recursive: true });
  const summary = scenarios.length === 1 ? scenarios[0]?.summary : `${scenarios.length} scenarios on one stage`;
  const said: string[] = [`\n=== ${name} (${repetition}): ${summary}\n`];
  const say = (text: string) => void (among_others ? said.push(text) : process.stdout.write(text));
  if (!among_others) process.stdout.write(said.join(""));
  const begun = Date.now();
  const names = scenarios.map((scenario) => scenario.name).join(",");
  const [program = "", ...args] = [...command, process.execPath, inside, names, String(repetition), directory];
  const limit_ms = scenarios.reduce((sum, scenario) => sum + deadlineOf(scenario), 0) + GRACE_MS;
  const how = await new Promise<string>((resolve) => {
    const output = among_others ? "pipe" : "inherit";
    const child = spawn(program, args, { stdio: ["ignore", output, output] });
    running.add(child);
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", say);
    const late = setTimeout(() => child.kill("SIGKILL"), limit_ms);
    child.once("error", (error) => resolve(`could not start: ${error.message}`));
    child.once("close", (code, signal) => {
      clearTimeout(late);
      running.delete(child);
      resolve(signal === null ? `exit ${code}` : `ended by ${signal}`);
    });
  });
  const runs: RunSummary[] = [];
  let failed: string | undefined;
  for (const scenario of scenarios) {
    const file = join(directory, recordFile(scenario.name));
    const record = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as RunRecord) : undefined;
    const last = runs.length + 1 === scenarios.length;
    const ok = record?.passed === true && (!last || how === "exit 0");
    const failure = ok ? undefined : (record?.failure ?? `the run left no record (${how})`);
    runs.push({
      name: scenario.name,
      repetition,
      ok,
      duration_ms: record?.duration_ms ?? Date.now() - begun,
      setup_ms: record?.setup_ms ?? 0,
      measured: record?.measured ?? {},
      ...(failure === undefined ? {} : { failure }),
    });
    if (ok) continue;
    failed = scenario.name;
    break;
  }
  const kept = join(results, `${failed ?? name}-${repetition}`);
  rmSync(kept, { recursive: true, force: true });
  const keeps = keep || failed !== undefined;
  if (keeps) renameSync(directory, kept);
  else rmSync(directory, { recursive: true, force: true });
  const evidence = relative(root, kept);
  for (const run of runs) {
    const came = run.ok ? "passed" : `FAILED: ${run.failure}`;
    say(`=== ${run.name} (${repetition}): ${came}${keeps ? `; see ${evidence}/` : ""}\n`);
  }
  if (among_others) process.stdout.write(said.join(""));
  return keeps ? runs.map((run) => ({ ...run, evidence })) : runs;
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
      "at-once": { type: "string", default: "1" },
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
  const atOnce = Number(values["at-once"]);
  const counts = [repeat, atOnce].every((count) => Number.isInteger(count) && count >= 1);
  if (positionals.length === 0 || !counts) {
    console.error(usage);
    return 2;
  }
  const chosen = choose(positionals);
  if (process.platform !== "linux") throw new Error("the lab needs Linux namespaces");
  const command = namespaceCommand();
  sweep();
  const due = Array.from({ length: repeat }, (_, i) => batches(chosen).map((batch) => ({ batch, repetition: i + 1 })));
  const queue = due.flat();
  const how: Playing = { command, keep: values.keep, among_others: atOnce > 1 };
  const runs: RunSummary[] = [];
  const player = async () => {
    for (let next = queue.shift(); next !== undefined && !interrupted; next = queue.shift()) {
      runs.push(...(await playBatch(next.batch, next.repetition, how)));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, player));
  const failed = runs.filter((run) => !run.ok).length;
  console.log(`\n${runs.length - failed} passed, ${failed} failed`);
  if (values.json) console.log(JSON.stringify({ passed: runs.length - failed, failed, runs }));
  return interrupted ? 130 : failed > 0 ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interrupted = true;
    for (const child of running) child.kill("SIGKILL");
  });
}
main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(`lab: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  },
);
