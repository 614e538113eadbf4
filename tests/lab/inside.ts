/**
 * The first process inside the lab's own user, network, mount and process namespaces: runs one scenario once and writes
 * what came of it. When this process ends, for whatever reason, the kernel ends everything the lab has started.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { now, within } from "./deadline.ts";
import { Lab } from "./lab.ts";
import { prepareMounts } from "./private-namespaces.ts";
import { type RunRecord, type Scenario, Timeline } from "./scenario.ts";
import { scenarios } from "./scenarios/all.ts";

const DEADLINE_MS = 120_000;

async function play(scenario: Scenario, repetition: number, directory: string): Promise<RunRecord> {
  const started = now();
  const timeline = new Timeline((line) => console.log(line));
  let failure: string | undefined;
  let setup_ms = 0;
  try {
    const whole = (async () => {
      const lab = await timeline.step("the lab stands", () =>
        Lab.start(scenario.layout, timeline, directory, "/run/lab"),
      );
      setup_ms = now() - started;
      await scenario.run(lab);
    })();
    await within(`the scenario ${scenario.name} to end`, scenario.deadline_ms ?? DEADLINE_MS, whole);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    console.error(error instanceof Error ? error.stack : error);
  }
  return {
    scenario: scenario.name,
    repetition,
    passed: failure === undefined,
    duration_ms: now() - started,
    setup_ms,
    steps: timeline.steps,
    measured: timeline.measured,
    ...(failure === undefined ? {} : { failure }),
  };
}

const [name = "", repetition = "1", directory = ""] = process.argv.slice(2);
const scenario = scenarios.find((candidate) => candidate.name === name);
if (scenario === undefined || directory === "" || process.pid !== 1) {
  console.error("tests/lab/inside.ts runs inside the lab's namespaces only; use: npm run lab -- SCENARIO");
  process.exit(2);
}
await prepareMounts();
const record = await play(scenario, Number(repetition), directory);
writeFileSync(join(directory, "run.json"), `${JSON.stringify(record, null, 2)}\n`);
process.exit(record.passed ? 0 : 1);
