/** CPU of one operation under a steady load, on a core of its own: processor time of whole processes by operations done. */
import { extensions, hosts, numbers, ports } from "../../lab/addresses.ts";
import { sleep, until } from "../../lab/deadline.ts";
import type { Lab } from "../../lab/lab.ts";
import { HoldfastBranch } from "../branch/holdfast.ts";
import { KamailioBranch } from "../branch/kamailio.ts";
import { KAMAILIO_PORT } from "../branch/kamailio-config.ts";
import { cpu_us, pidsOf, pin, pinAllBut, pinning } from "../load/cpu.ts";
import {
  addSources,
  callScenario,
  type Load,
  registerScenario,
  runLoad,
  SOURCES,
  startCallee,
  telephones,
} from "../load/sipp.ts";
import { emptyLab } from "./branch-lab.ts";
import { type Job, type JobContext, type Measurements, Results } from "./job.ts";

export const PHONES = 500;
/** From each of {@link SOURCES} addresses. */
const REGISTERS_PER_S = 90;
const CALLS_PER_S = 50;
const SECONDS = 20;
const ROUNDS = 5;
/** Processor time is counted in steps of 10 ms and goes on a little after the last answer. */
const AFTERWARDS_MS = 1500;

export interface Servers {
  /** The engine alone. */
  readonly engine: readonly number[];
  /** Engine, media, site and cellular. */
  readonly box: readonly number[];
  readonly kamailio: readonly number[];
}

export async function serversOf(lab: Lab): Promise<Servers> {
  const engine = await lab.box.pids("engine");
  const others = await Promise.all((["media", "site", "cellular"] as const).map((name) => lab.box.pids(name)));
  const box = [...engine, ...others.flat()];
  const kamailio = await pidsOf(`${lab.directory}/branch-kamailio.cfg`, "kamailio");
  if (engine.length !== 1 || kamailio.length === 0) throw new Error("the servers' processes were not found");
  return { engine, box, kamailio };
}

export async function bothServers(context: JobContext): Promise<{ lab: Lab; servers: Servers }> {
  const lab = await emptyLab(context, { box: "one-armed" });
  await addSources();
  await HoldfastBranch.start(lab, { more_phones: PHONES });
  await KamailioBranch.start(lab, "udp");
  const servers = await serversOf(lab);
  const cores = pinning(context.cores);
  const measured = [...servers.box, ...servers.kamailio];
  await pinAllBut(measured, cores.rest);
  await pin(measured, cores.server);
  return { lab, servers };
}

async function rounds(
  results: Results,
  context: JobContext,
  key: string,
  load: (port: number, name: string) => Load,
  { lab, servers }: { lab: Lab; servers: Servers },
): Promise<void> {
  const sides = [
    { port: ports.sip, of: { [`holdfast_${key}_us`]: servers.engine, [`holdfast_${key}_box_us`]: servers.box } },
    { port: KAMAILIO_PORT, of: { [`kamailio_${key}_us`]: servers.kamailio } },
  ];
  for (let n = 0; n < (context.quick ? 1 : ROUNDS); n++) {
    for (const { port, of } of sides) {
      const todo = load(port, `${key}-${port}-${n}`);
      const before = await Promise.all(Object.values(of).map(cpu_us));
      await runLoad(lab, todo, 120_000);
      await sleep(AFTERWARDS_MS);
      const after = await Promise.all(Object.values(of).map(cpu_us));
      for (const [i, name] of Object.keys(of).entries()) {
        const each_us = ((after[i] ?? 0) - (before[i] ?? 0)) / (todo.count * todo.sources);
        results.add(name, each_us);
        context.print(`${name}: ${each_us.toFixed(1)} µs`);
      }
    }
  }
}

/** Registrations that the branch answers itself: the WAN is dead, and every telephone proves its secret. */
async function registers(context: JobContext): Promise<Measurements> {
  const results = new Results(context.print);
  const both = await bothServers(context);
  const { lab } = both;
  await lab.cuts.blackHole();
  await until(
    "survivable mode",
    20_000,
    async () => (await lab.box.status())?.engine?.mode === "survivable" || undefined,
  );
  const users = telephones(PHONES);
  const cores = pinning(context.cores).load;
  const load = (port: number, name: string): Load => ({
    ...{ name, scenario: registerScenario, users, port, cores, sources: SOURCES },
    ...{ rate: REGISTERS_PER_S, rate_period_ms: 1000, count: REGISTERS_PER_S * SECONDS },
  });
  // Once unmeasured: compiled code and first bindings are there before it counts.
  for (const port of [ports.sip, KAMAILIO_PORT])
    await runLoad(lab, { ...load(port, `warm-${port}`), count: 1000 }, 60_000);
  await rounds(results, context, "register", load, both);
  results.note(
    `REGISTER: ${REGISTERS_PER_S * SOURCES}/s, ${PHONES} telephones, answered by the branch while the WAN is dead, each challenged (MD5); servers on core ${pinning(context.cores).server}`,
  );
  return results.measurements;
}

/** Calls by the cloud, which challenges them, to a callee beyond it: INVITE 407 ACK INVITE 180 200 ACK BYE 200. */
async function calls(context: JobContext): Promise<Measurements> {
  const results = new Results(context.print);
  const both = await bothServers(context);
  const { lab } = both;
  const cores = pinning(context.cores);
  await lab.remote.outside.stop();
  await startCallee(lab, hosts.outside, cores.rest);
  await sleep(500);
  const users = [extensions.baresip101.user, extensions.baresip102.user, extensions.linphone103.user];
  const scenario = callScenario(numbers.outside.slice(1));
  const load = (port: number, name: string): Load => ({
    ...{ name, scenario, users, port, cores: cores.load, sources: 1 },
    ...{ rate: CALLS_PER_S, rate_period_ms: 1000, count: CALLS_PER_S * SECONDS },
  });
  for (const port of [ports.sip, KAMAILIO_PORT])
    await runLoad(lab, { ...load(port, `warm-${port}`), count: 300 }, 60_000);
  await rounds(results, context, "call", load, both);
  results.note(
    `call: ${CALLS_PER_S}/s by the cloud, challenged there (407), no audio; Holdfast makes relay ports for each, Kamailio passes the SDP through`,
  );
  return results.measurements;
}

export const load: readonly Job[] = [
  { name: "load-registers", figure: "load", share: "alone", deadline_ms: 15 * 60_000, run: registers },
  { name: "load-calls", figure: "load", share: "alone", deadline_ms: 15 * 60_000, run: calls },
];
