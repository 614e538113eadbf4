/** The box itself is hurt: cold start, dead process, damaged snapshot, an engine killed in the middle of a 911 call. */
import { cellular, hosts, lan } from "../addresses.ts";
import { whyByLte } from "../attempts.ts";
import { now, sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { expect, type Scenario } from "../scenario.ts";
import {
  becomesSurvivable,
  bothHeard,
  dial911,
  emergencyCall,
  hangUp,
  internalCall,
  locationSent,
  nocEvent,
  psapAnswers,
  rooms,
  siteIsNormal,
} from "../story.ts";

/** What the relay may add to the longest gap in what it gets: below what the engine is away for, and hardly heard. */
const NO_GAP_MS = 100;

async function coldStartNoWan(lab: Lab): Promise<void> {
  await lab.step("power comes back to the box, the WAN does not", async () => {
    await lab.cuts.blackHole();
    await lab.box.powerOn();
  });
  const started_at = now();
  await lab.step("telephones with a provisioned secret register for the first time", () =>
    lab.startPhones("box", { without_103: true }),
  );
  lab.measure("phones_up_after_start_ms", now() - started_at);
  const { baresip101, baresip102, linphone103 } = lab.phones;
  await emergencyCall(lab, baresip101, "lte");
  await lab.step("a telephone that never registered calls 911 too", async () => {
    const call = await dial911(lab, linphone103, "lte");
    await psapAnswers(call);
    await locationSent(call.invite, rooms[linphone103.user]);
    await sleep(1500);
    await hangUp(linphone103, call.psap);
    await bothHeard(lab, linphone103, call.psap);
  });
  await internalCall(lab, baresip101, baresip102, "by the box alone");
}

async function siteProcessDead(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  await lab.step("the site process hangs: alive, but doing nothing", () => lab.box.freeze("site"));
  await internalCall(lab, baresip101, baresip102, "by the cloud");
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  const call = await emergencyCall(lab, baresip101, "lte");
  lab.measure("dial_to_lte_invite_ms", call.to_trunk_ms);
  await internalCall(lab, baresip102, baresip101, "by the box alone");
  await lab.step("the site process is killed; another one starts", async () => {
    const old = await lab.box.kill("site");
    await lab.box.back("site", old, 5000);
  });
  await lab.step("nothing was lost: the NOC gets the 911 call made meanwhile", async () => {
    await nocEvent(lab, "emergency.answered", () => true, 15_000, mark);
    lab.timeline.note(`it went to LTE by: ${await whyByLte(lab, mark)}`);
  });
}

async function snapshotCorrupt(lab: Lab): Promise<void> {
  await siteIsNormal(lab);
  await lab.step("the site process has written a snapshot", () =>
    until("the snapshot file", 10_000, () => lab.box.snapshotSize().then((size) => (size > 0 ? size : undefined))),
  );
  await lab.step("power fails, the snapshot is damaged, the WAN is gone", async () => {
    await lab.box.powerOff();
    await lab.box.damageSnapshot();
    await lab.cuts.blackHole();
  });
  const { baresip101, baresip102 } = lab.phones;
  const started_at = now();
  await lab.step("power is back", () => lab.box.powerOn());
  lab.measure("power_on_to_listening_ms", now() - started_at);
  // Dialled at once: the engine has no snapshot, and no site file yet.
  await emergencyCall(lab, baresip102, "lte");
  await lab.step("the trunk is registered again", async () => {
    await until("the box to say so", 10_000, async () => {
      const status = await lab.box.status();
      return status?.engine?.trunks.some(({ id, registered }) => id === "lte-trunk" && registered) || undefined;
    });
  });
  await lab.step("the NOC hears that the snapshot was broken", async () => {
    await nocEvent(lab, "alarm.raised", ({ data }) => data.code === "engine.snapshot_broken", 10_000);
  });
  await lab.step("power fails again; snapshot and site file are both damaged, the WAN lives", async () => {
    await lab.box.powerOff();
    await lab.box.damageSnapshot();
    await lab.cuts.forwardingHealed();
    await lab.box.powerOn({ half_written: true });
  });
  await lab.step("911 is taken on built-in defaults, by the cloud that the telephone names", async () => {
    const call = await dial911(lab, baresip101, "cloud", 10_000);
    await psapAnswers(call);
    await sleep(1500);
    await hangUp(baresip101, call.psap);
    await bothHeard(lab, baresip101, call.psap);
  });
}

async function engineKilledMid911(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  const mark = lab.broker.messages.mark;
  const cut_at = now();
  await lab.step("upstream everything is swallowed", () => lab.cuts.blackHole());
  await becomesSurvivable(lab, cut_at, mark);
  for (const ends of ["caller", "psap"] as const) {
    const caller = ends === "caller" ? baresip101 : baresip102;
    await lab.step(`the engine is killed in a 911 call that the ${ends} then ends`, async () => {
      const call = await dial911(lab, caller, "lte");
      await psapAnswers(call);
      await sleep(1000);
      const killed_at = now();
      const old = await lab.box.kill("engine");
      await lab.box.back("engine", old, 5000);
      await lab.box.takesCalls(5000);
      lab.measure(`engine_back_${ends}_ms`, now() - killed_at);
      await sleep(1500);
      const until_ms = now() - 100;
      const toPsap = lab.captures.lte.longestSilence(cellular.box, hosts.psapLte, killed_at, until_ms);
      const toCaller = lab.captures.lan.longestSilence(lan.box, caller.address, killed_at, until_ms);
      lab.measure(`longest_silence_to_psap_${ends}_ms`, toPsap);
      lab.measure(`longest_silence_to_caller_${ends}_ms`, toCaller);
      // Telephones on a busy machine pause too: the relay is judged by what it was given.
      const ofPsap = lab.captures.lte.longestSilence(hosts.psapLte, cellular.box, killed_at, until_ms);
      const ofCaller = lab.captures.lan.longestSilence(caller.address, lan.box, killed_at, until_ms);
      expect(
        toPsap <= ofCaller + NO_GAP_MS,
        `the PSAP heard nothing for ${toPsap} ms, the caller paused ${ofCaller} ms`,
      );
      expect(
        toCaller <= ofPsap + NO_GAP_MS,
        `the caller heard nothing for ${toCaller} ms, the PSAP paused ${ofPsap} ms`,
      );
      if (ends === "caller") await hangUp(caller, call.psap);
      else await hangUp(call.psap, caller);
      await bothHeard(lab, caller, call.psap, 2000);
    });
  }
  await lab.step("the NOC has both calls' ends", async () => {
    for (const ended_by of ["caller", "psap"]) {
      await nocEvent(lab, "emergency.ended", ({ data }) => data.ended_by === ended_by, 10_000, mark);
    }
  });
}

export const brokenBox: readonly Scenario[] = [
  {
    name: "cold-start-no-wan",
    summary: "power comes back, the WAN does not: telephones register for the first time, 911 works, for strangers too",
    short: true,
    layout: { box: "one-armed", telephones: "later", box_running: false },
    run: coldStartNoWan,
  },
  {
    name: "site-process-dead",
    summary: "the site process hangs and then dies: calls and 911 do not notice, and the NOC loses nothing",
    layout: { box: "one-armed", telephones: "box", box_running: true },
    run: siteProcessDead,
  },
  {
    name: "snapshot-corrupt",
    summary: "power fails and the snapshot is damaged, then the site file too: 911 still goes out",
    layout: { box: "one-armed", telephones: "box", box_running: true },
    run: snapshotCorrupt,
  },
  {
    name: "engine-killed-mid-911",
    summary: "the engine is killed in an answered 911 call: sound goes on, the call is resumed, hanging up works",
    short: true,
    layout: { box: "one-armed", telephones: "box", box_running: true },
    run: engineKilledMid911,
  },
];
