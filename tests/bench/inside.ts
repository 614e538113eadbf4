/**
 * The first process inside a bench job's own user, network, mount and process namespaces: measures one job and writes
 * what it found. When this process ends, for whatever reason, the kernel ends everything the job has started.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { within } from "../lab/deadline.ts";
import { prepareMounts } from "../lab/private-namespaces.ts";
import { jobs } from "./figures/all.ts";
import type { JobOutcome } from "./figures/job.ts";

const [name = "", directory = "", cores = "1", ...flags] = process.argv.slice(2);
const job = jobs.find((candidate) => candidate.name === name);
if (job === undefined || directory === "" || process.pid !== 1) {
  console.error("tests/bench/inside.ts runs inside its own namespaces only; use: npm run bench");
  process.exit(2);
}
await prepareMounts();
let outcome: JobOutcome;
try {
  const measured = job.run({
    directory,
    runDirectory: "/run/lab",
    quick: flags.includes("--quick"),
    cores: Number(cores),
    print: (line) => console.log(`${name}: ${line}`),
  });
  outcome = { measured: await within(`the job ${name} to end`, job.deadline_ms, measured) };
} catch (error) {
  console.error(`${name}: ${error instanceof Error ? error.stack : error}`);
  outcome = { failure: error instanceof Error ? error.message : String(error) };
}
writeFileSync(join(directory, "outcome.json"), `${JSON.stringify(outcome, null, 2)}\n`);
process.exit("measured" in outcome ? 0 : 1);
