/** 500 telephones register at the same moment, as when the power comes back; and what the server holds then. */
import { lan, ports } from "../../lab/addresses.ts";
import { cseqMethod, header, type SeenMessage } from "../../lab/capture/sip.ts";
import { sleep, until } from "../../lab/deadline.ts";
import { KAMAILIO_PORT } from "../branch/kamailio-config.ts";
import { BurstCapture } from "../load/burst-capture.ts";
import { memory, pinning } from "../load/cpu.ts";
import { type Load, registerScenario, runLoad, telephones } from "../load/sipp.ts";
import { type Job, type JobContext, type Measurements, Results } from "./job.ts";
import { bothServers, PHONES } from "./load.ts";

const STORMS = 10;

async function measure(context: JobContext): Promise<Measurements> {
  const results = new Results(context.print);
  const { lab, servers } = await bothServers(context);
  await lab.cuts.blackHole();
  await until(
    "survivable mode",
    20_000,
    async () => (await lab.box.status())?.engine?.mode === "survivable" || undefined,
  );
  const users = telephones(PHONES);
  for (let n = 0; n < (context.quick ? 3 : STORMS); n++) {
    for (const [side, port] of [
      ["holdfast", ports.sip],
      ["kamailio", KAMAILIO_PORT],
    ] as const) {
      // The box allows one address a burst; it has filled up again by the next storm.
      await sleep(6000);
      const capture = await BurstCapture.start(lab);
      const load: Load = {
        ...{ name: `storm-${side}-${n}`, scenario: registerScenario, users, port, count: PHONES, sources: 1 },
        ...{ rate: PHONES, rate_period_ms: 1, cores: pinning(context.cores).load },
      };
      await runLoad(lab, load, 60_000);
      await sleep(500);
      const seen = (await capture.stop()).filter((message) => cseqMethod(message) === "REGISTER");
      const asked = seen.filter(({ to, method }) => method !== undefined && to === `${lan.box}:${port}`);
      const granted = seen.filter(({ from, status }) => status === 200 && from === `${lan.box}:${port}`);
      const [first, last] = [asked[0], granted.at(-1)];
      const registered = new Set(granted.map((message) => header(message, "call-id"))).size;
      if (first === undefined || last === undefined || registered !== PHONES) {
        throw new Error(`${side}: the capture has ${registered} of ${PHONES} registrations`);
      }
      results.add(`${side}_storm_ms`, last.at - first.at);
      results.add(`${side}_storm_repeated`, asked.length - new Set(asked.map(identity)).size);
      const offered_ms =
        (asked.filter((message) => header(message, "cseq") === "1 REGISTER").at(-1)?.at ?? first.at) - first.at;
      context.print(
        `${side} storm ${n + 1}: ${(last.at - first.at).toFixed(1)} ms; the first requests came within ${offered_ms.toFixed(1)} ms`,
      );
      results.add(`${side}_storm_offered_ms`, offered_ms);
    }
  }
  const held = {
    engine: await memory(servers.engine),
    box: await memory(servers.box),
    kamailio: await memory(servers.kamailio),
  };
  results.add("holdfast_engine_pss_mb", held.engine.pss_mb);
  results.add("holdfast_engine_rss_mb", held.engine.rss_mb);
  results.add("holdfast_box_pss_mb", held.box.pss_mb);
  results.add("kamailio_pss_mb", held.kamailio.pss_mb);
  results.add("kamailio_rss_mb", held.kamailio.rss_mb);
  results.note(
    `memory after ${context.quick ? 3 : STORMS} such storms; Kamailio's Rss counts its shared memory once for each process`,
  );
  return results.measurements;
}

const identity = (message: SeenMessage): string => `${header(message, "call-id")} ${header(message, "cseq")}`;

export const storm: readonly Job[] = [
  { name: "storm", figure: "storm", share: "alone", deadline_ms: 10 * 60_000, run: measure },
];
