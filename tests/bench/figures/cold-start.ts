/** From exec to the first 200 OK on OPTIONS, asked every 2 ms. Files are in the page cache, compiled code in Node's. */
import { join } from "node:path";
import { lan, ports } from "../../lab/addresses.ts";
import { sleep } from "../../lab/deadline.ts";
import type { Lab } from "../../lab/lab.ts";
import { runIn } from "../../lab/processes.ts";
import { HoldfastBranch } from "../branch/holdfast.ts";
import { KamailioBranch, kamailioCommand } from "../branch/kamailio.ts";
import { KAMAILIO_PORT } from "../branch/kamailio-config.ts";
import { emptyLab } from "./branch-lab.ts";
import { type Job, type JobContext, type Measurements, Results } from "./job.ts";
import { PHONES } from "./load.ts";

const STARTS = 10;
const ANSWER_MS = 15_000;
const knockProgram = new URL("../servers/knock.ts", import.meta.url).pathname;
const agent = (file: string): string => new URL(`../../../agent/${file}`, import.meta.url).pathname;

const wall = (): number => performance.timeOrigin + performance.now();

/** Milliseconds from the exec of a program to its first answer; the program is ended then. */
async function answerTime(lab: Lab, name: string, argv: readonly string[], port: number): Promise<number> {
  const knock = lab.programs.start({
    name: "knock",
    namespace: "lan",
    argv: [process.execPath, "--disable-warning=ExperimentalWarning", knockProgram, lan.probe, lan.box, String(port)],
  });
  await knock.line(/^ready$/, 5000);
  const started = wall();
  const program = lab.programs.start({ name, namespace: "box", argv, cwd: lab.directory });
  const answered = await knock.line(/^answered /, ANSWER_MS);
  const took_ms = Number(answered.text.split(" ")[1]) - started;
  await program.stop("SIGTERM", 6000);
  await knock.stop();
  return took_ms;
}

async function measure(context: JobContext): Promise<Measurements> {
  const results = new Results(context.print);
  const lab = await emptyLab(context, { box: "one-armed" });
  await HoldfastBranch.start(lab, { more_phones: PHONES });
  const kamailio = await KamailioBranch.start(lab, "udp");
  await kamailio.program.stop();
  // What a power cut leaves: the snapshot on disk. Rules and tables are a step of the system's own before the box.
  await lab.box.powerOff();
  const dirs = ["--state-dir", join(lab.runDirectory, "box-state"), "--run-dir", join(lab.runDirectory, "box-run")];
  const args = ["--config", join(lab.directory, "site.yaml"), ...dirs];
  const node = [process.execPath, "--disable-warning=ExperimentalWarning"];
  await runIn("box", [...node, agent("cli.ts"), "net", "apply", ...args.slice(0, 2)]);
  for (let n = 0; n < (context.quick ? 3 : STARTS); n++) {
    const box = await answerTime(lab, "cold-box", [...node, agent("cli.ts"), "run", ...args], ports.sip);
    results.add("holdfast_cold_box_ms", box);
    const engine = await answerTime(lab, "cold-engine", [...node, agent("engine/main.ts"), ...args], ports.sip);
    results.add("holdfast_cold_engine_ms", engine);
    const command = kamailioCommand(join(lab.directory, "branch-kamailio.cfg"), lab.runDirectory);
    const peer = await answerTime(lab, "cold-kamailio", command, KAMAILIO_PORT);
    results.add("kamailio_cold_ms", peer);
    context.print(`start ${n + 1}: box ${box.toFixed(0)}, engine ${engine.toFixed(0)}, Kamailio ${peer.toFixed(0)} ms`);
    await sleep(300);
  }
  results.note(
    "cold start: from sources by type stripping with Node's compile cache, from a snapshot of 500 telephones; ip netns exec (about 3 ms) is in every figure",
  );
  return results.measurements;
}

export const coldStart: readonly Job[] = [
  { name: "cold-start", figure: "cold-start", share: "alone", deadline_ms: 10 * 60_000, run: measure },
];
