/**
 * Adapter: child_process. `npm run bench`: measures the figures, each job in a lab of its own, and prints one table of
 * Holdfast beside Kamailio. A goal that is missed is shown, not failed; a measurement that could not be made is a failure.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { namespaceCommand } from "../lab/private-namespaces.ts";
import { jobs } from "./figures/all.ts";
import { HOLD_DOWN_MS } from "./figures/branch-lab.ts";
import type { Job, JobOutcome, Measurements } from "./figures/job.ts";
import { rowOf, rowPlans } from "./rows.ts";
import { table } from "./table.ts";

const root = new URL("../../", import.meta.url).pathname;
const inside = new URL("./inside.ts", import.meta.url).pathname;
const GRACE_MS = 60_000;

const figures = [...new Set(jobs.map(({ figure }) => figure))];
const usage = `npm run bench -- [--only NAME]… [--quick] [--json] [--list]
  --only NAME  only this figure: ${figures.join(", ")}
  --quick      fewer trials and shorter waits; the table says so
  --json       one last line with every value
  --list       the figures' jobs
`;

const running = new Set<ChildProcess>();
let interrupted = false;

interface Options {
  readonly quick: boolean;
  readonly cores: number;
  readonly command: readonly string[];
  readonly results: string;
}

async function play(job: Job, { quick, cores, command, results }: Options): Promise<JobOutcome> {
  const directory = join(results, job.name);
  mkdirSync(directory, { recursive: true });
  const flags = quick ? ["--quick"] : [];
  const [program = "", ...args] = [
    ...command,
    ...[
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      inside,
      job.name,
      directory,
      String(cores),
      ...flags,
    ],
  ];
  const how = await new Promise<string>((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] });
    running.add(child);
    const late = setTimeout(() => child.kill("SIGKILL"), job.deadline_ms + GRACE_MS);
    child.once("error", (error) => resolve(`could not start: ${error.message}`));
    child.once("exit", (code, signal) => {
      clearTimeout(late);
      running.delete(child);
      resolve(signal === null ? `exit ${code}` : `ended by ${signal}`);
    });
  });
  const file = join(directory, "outcome.json");
  const outcome: JobOutcome = existsSync(file)
    ? (JSON.parse(readFileSync(file, "utf8")) as JobOutcome)
    : { failure: `it left no outcome (${how})` };
  if ("measured" in outcome) rmSync(directory, { recursive: true, force: true });
  return outcome;
}

/** Jobs side by side, as many as the machine bears; whoever wants it alone gets it alone. */
async function playAll(chosen: readonly Job[], options: Options): Promise<Map<Job, JobOutcome>> {
  const outcomes = new Map<Job, JobOutcome>();
  const beside = {
    alone: 1,
    timing: Math.max(1, Math.floor(options.cores / 2)),
    light: Math.max(2, Math.floor(options.cores * 1.5)),
  };
  for (const share of ["alone", "timing", "light"] as const) {
    const waiting = chosen.filter((job) => job.share === share);
    const workers = Array.from({ length: beside[share] }, async () => {
      for (let job = waiting.shift(); job !== undefined && !interrupted; job = waiting.shift()) {
        console.log(`=== ${job.name}`);
        const outcome = await play(job, options);
        outcomes.set(job, outcome);
        console.log(`=== ${job.name}: ${"measured" in outcome ? "measured" : `NOT MEASURED: ${outcome.failure}`}`);
      }
    });
    await Promise.all(workers);
  }
  return outcomes;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (values.list) {
    for (const { figure, name } of jobs) console.log(`${figure.padEnd(18)}${name}`);
    return 0;
  }
  const unknown = (values.only ?? []).find((name) => !jobs.some((job) => job.figure === name || job.name === name));
  if (unknown !== undefined) {
    console.error(`there is no figure "${unknown}"\n${usage}`);
    return 2;
  }
  if (process.platform !== "linux") throw new Error("the bench needs Linux namespaces");
  const chosen = jobs.filter(
    ({ figure, name }) => values.only?.some((each) => each === figure || each === name) ?? true,
  );
  const cores = availableParallelism();
  const results = join(root, "lab-results", `bench-${process.pid}`);
  const started = Date.now();
  const others = loadavg()[0] ?? 0;
  const outcomes = await playAll(chosen, { quick: values.quick, cores, command: namespaceCommand(), results });
  return report(outcomes, {
    quick: values.quick,
    json: values.json,
    cores,
    results,
    others,
    took_ms: Date.now() - started,
  });
}

interface ReportOptions {
  readonly quick: boolean;
  readonly json: boolean;
  readonly cores: number;
  readonly results: string;
  /** Load average when the bench began: what else the machine was doing. */
  readonly others: number;
  readonly took_ms: number;
}

function report(
  outcomes: ReadonlyMap<Job, JobOutcome>,
  { quick, json, cores, results, others, took_ms }: ReportOptions,
): number {
  const measured: Record<string, readonly number[]> = {};
  const notes: string[] = [];
  const failures: string[] = [];
  for (const [job, outcome] of outcomes) {
    if ("failure" in outcome) {
      failures.push(`${job.name}: ${outcome.failure} (see ${relative(root, join(results, job.name))}/)`);
      continue;
    }
    const { values, notes: said }: Measurements = outcome.measured;
    Object.assign(measured, values);
    notes.push(...said);
  }
  const figuresPlayed = new Set([...outcomes.keys()].map(({ figure }) => figure));
  const rows = rowPlans(quick)
    .filter(({ figure }) => figuresPlayed.has(figure))
    .map((plan) => rowOf(plan, measured))
    .filter(
      ({ verdict, figure }) =>
        verdict !== "not measured" ||
        [...outcomes].some(([job, outcome]) => job.figure === figure && "failure" in outcome),
    );
  const minutes = Math.round(took_ms / 6000) / 10;
  const machine = {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores,
    kernel: release(),
    node: process.version,
    load_before: others,
  };
  const { cpu, kernel, node } = machine;
  console.log(`\n${cores} cores (${cpu}), kernel ${kernel}, Node ${node}; ${minutes} min`);
  console.log(`load average before the bench: ${others.toFixed(1)}, which is not the bench's own`);
  if (quick) console.log("QUICK: fewer trials, shorter waits; a full run judges");
  console.log(
    "Cells: median (min–max), n. `judged` is compared with the goal and with Kamailio, tuned, in the same lab.",
  );
  console.log(`The site file says hold_down_ms ${HOLD_DOWN_MS}, so that trials follow one another.\n`);
  console.log(table(rows));
  for (const note of notes) console.log(`- ${note}`);
  if (existsSync(results) && failures.length === 0) rmSync(results, { recursive: true, force: true });
  for (const failure of failures) console.log(`NOT MEASURED ${failure}`);
  const count = (verdict: string) => rows.filter((row) => row.verdict === verdict).length;
  console.log(`\n${count("met")} met, ${count("missed")} missed, ${failures.length} jobs not measured`);
  if (json)
    console.log(
      JSON.stringify({ ok: failures.length === 0 && !interrupted, quick, machine, rows, measured, notes, failures }),
    );
  return interrupted ? 130 : failures.length > 0 ? 1 : 0;
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
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  },
);
