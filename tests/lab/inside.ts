/**
 * The first process inside the lab's own user, network, mount and process namespaces: plays the scenarios of one lab, one
 * after the other, and writes what came of each. After the first that fails it ends: what that one left behind is nobody
 * else's ground. When this process ends, for whatever reason, the kernel ends everything the lab has started.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { now, within } from "./deadline.ts";
import { Lab } from "./lab.ts";
import { prepareMounts } from "./private-namespaces.ts";
import {
  deadlineOf,
  layoutOf,
  type RunRecord,
  recordFile,
  type Scenario,
  type Stage,
  stageOf,
  Timeline,
} from "./scenario.ts";
import { scenarios } from "./scenarios/all.ts";

const SETUP_MS = 60_000;
const SETTLE_MS = 30_000;

const print = (line: string): void => console.log(line);

async function raise(scenario: Scenario, timeline: Timeline, directory: string): Promise<Lab> {
  const lab = await timeline.step("the lab stands", () =>
    Lab.start(layoutOf(scenario), timeline, directory, "/run/lab"),
  );
  const stage = stageOf(scenario);
  if (stage?.prepare !== undefined) await timeline.step("the stage is set", async () => stage.prepare?.(lab));
  return lab;
}

/** Plays one scenario; `lab` undefined: in a lab that is raised for it. */
async function play(
  scenario: Scenario,
  repetition: number,
  directory: string,
  standing: Lab | undefined,
): Promise<{ readonly record: RunRecord; readonly lab: Lab | undefined }> {
  const started = now();
  const timeline = new Timeline(print);
  let failure: string | undefined;
  let setup_ms = 0;
  let lab = standing;
  try {
    if (lab === undefined) {
      lab = await within("the lab to stand", SETUP_MS, raise(scenario, timeline, directory));
      setup_ms = now() - started;
    }
    lab.timeline = timeline;
    await within(`the scenario ${scenario.name} to end`, deadlineOf(scenario), scenario.run(lab));
    const stage = stageOf(scenario);
    if (stage !== undefined) await settle(stage, lab);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    console.error(error instanceof Error ? error.stack : error);
  }
  const record: RunRecord = {
    scenario: scenario.name,
    repetition,
    passed: failure === undefined,
    duration_ms: now() - started,
    setup_ms,
    steps: timeline.steps,
    measured: timeline.measured,
    ...(failure === undefined ? {} : { failure }),
  };
  return { record, lab };
}

/** A scenario that leaves the stage changed has failed, even where its own checks passed. */
async function settle(stage: Stage, lab: Lab): Promise<void> {
  await lab.step(`the stage "${stage.name}" is as it was`, () =>
    within("the stage to be as it was", SETTLE_MS, stage.settled(lab)),
  );
}

const [names = "", repetition = "1", directory = ""] = process.argv.slice(2);
const chosen = names.split(",").flatMap((name) => scenarios.find((candidate) => candidate.name === name) ?? []);
if (chosen.length === 0 || directory === "" || process.pid !== 1) {
  console.error("tests/lab/inside.ts runs inside the lab's namespaces only; use: npm run lab -- SCENARIO");
  process.exit(2);
}
await prepareMounts();
let lab: Lab | undefined;
for (const scenario of chosen) {
  if (chosen.length > 1) console.log(`\n--- ${scenario.name} (${repetition}): ${scenario.summary}`);
  const played = await play(scenario, Number(repetition), directory, lab);
  writeFileSync(join(directory, recordFile(scenario.name)), `${JSON.stringify(played.record, null, 2)}\n`);
  if (!played.record.passed) process.exit(1);
  lab = played.lab;
}
process.exit(0);
