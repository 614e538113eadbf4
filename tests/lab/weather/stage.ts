/** The site of the 911 scenarios: SIPp's carrier over the WAN first, then LTE with a real PSAP, then the cloud. */
import { until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import type { Sipp } from "../peers/sipp.ts";
import type { Step } from "../peers/sipp-scenario.ts";
import { expect, type Stage } from "../scenario.ts";
import { type CarrierOptions, startCarrier, takes } from "./carrier.ts";

/** The carrier between two scenarios: it answers who asks for it, so that it counts as up. */
let idle: Sipp | undefined;
let idles = 0;

async function carrierIdles(lab: Lab, transport: "udp" | "tcp" = "udp"): Promise<void> {
  idle = await startCarrier(lab, `carrier-idle-${++idles}`, takes, { transport });
}

/** Makes room for a scenario's own carrier. */
export async function carrierSteps(
  lab: Lab,
  name: string,
  steps: readonly Step[],
  options: CarrierOptions = {},
): Promise<Sipp> {
  await idle?.stop();
  idle = undefined;
  return startCarrier(lab, name, steps, options);
}

export async function carrierIsUp(lab: Lab): Promise<void> {
  await until("both trunks to be up, and nobody to call", 28_000, async () => {
    const engine = (await lab.box.status())?.engine;
    const carrier = engine?.trunks.find(({ id }) => id === "carrier");
    const lte = engine?.trunks.find(({ id }) => id === "lte-trunk");
    return (carrier?.state === "up" && lte?.state === "up" && engine?.calls.length === 0) || undefined;
  });
}

const layout = { box: "one-armed", telephones: "later", box_running: false } as const;

export const weather: Stage = {
  name: "911-weather",
  layout,
  async prepare(lab) {
    await carrierIdles(lab);
    await lab.box.start({ carrier: { transport: "udp" } });
    await lab.startPhones("box");
    await lab.box.mode("normal", 15_000);
    await carrierIsUp(lab);
  },
  async settled(lab) {
    await idle?.stop();
    await carrierIdles(lab);
    await carrierIsUp(lab);
    const engine = (await lab.box.status())?.engine;
    expect(engine?.mode === "normal", `the mode is ${engine?.mode}`);
    expect(lab.pbx.running && lab.lteTrunk.running, "a peer of the lab has ended");
  },
};

/** The same site for scenarios that cut its WAN. After a 911 call it does not go home: the PSAP may call back. */
export const weatherWithCuts: Stage = {
  name: "911-cuts",
  layout,
  async prepare(lab) {
    await carrierIdles(lab);
    await lab.box.start({ carrier: { transport: "udp" }, hold_down_ms: 1000 });
    await lab.startPhones("box");
    await lab.box.mode("normal", 15_000);
    await carrierIsUp(lab);
  },
  async settled(lab) {
    await lab.cuts.forwardingHealed();
    await idle?.stop();
    await carrierIdles(lab);
    await carrierIsUp(lab);
  },
};

/** The carrier is reached over TCP. */
export const weatherOverTcp: Stage = {
  name: "911-tcp",
  layout,
  async prepare(lab) {
    await carrierIdles(lab, "tcp");
    await lab.box.start({ carrier: { transport: "tcp" } });
    await lab.startPhones("box");
    await lab.box.mode("normal", 15_000);
    await carrierIsUp(lab);
  },
  async settled(lab) {
    await idle?.stop();
    await carrierIdles(lab, "tcp");
    await carrierIsUp(lab);
  },
};
