/** IPv4 and IPv6 on one site: a telephone of each, a cloud of IPv4, and a cellular network of IPv6 alone. */
import { join } from "node:path";
import { cellular, domains, extensions, interfaces, lan, numbers, remotePhones, six } from "../../addresses.ts";
import { sleep, until } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { Baresip } from "../../peers/baresip.ts";
import { Kamailio } from "../../peers/kamailio.ts";
import { trunkOfSix } from "../../peers/kamailio-configs.ts";
import { run } from "../../processes.ts";
import type { Scenario, Stage } from "../../scenario.ts";
import { bothHeard, hangUp, internalCall } from "../../story.ts";
import { trunkIsUp } from "./secure-site.ts";

const TALK_MS = 1500;

interface Cast {
  readonly four: Baresip;
  readonly sixth: Baresip;
  readonly psap: Baresip;
}

const casts = new WeakMap<Lab, Cast>();

function cast(lab: Lab): Cast {
  const found = casts.get(lab);
  if (found === undefined) throw new Error("the stage is not set");
  return found;
}

/** Addresses of IPv6 on the switch, on the cellular link in place of IPv4, and beyond it. */
async function addSix(): Promise<void> {
  const { box, lte } = interfaces;
  const batch = (namespace: string, lines: readonly string[]) =>
    run(["ip", "-n", namespace, "-6", "-batch", "-"], { input: `${lines.join("\n")}\n` });
  // Without duplicate address detection, which takes a second in which an address cannot be bound.
  const add = (address: string, device: string, prefix: number = six.prefix) =>
    `addr add ${address}/${prefix} dev ${device} nodad`;
  await run(["ip", "netns", "exec", "lte", "sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1"]);
  await Promise.all([
    batch("box", [add(six.box, box.lan), add(six.cellular_box, box.lte)]),
    batch("phone102", [add(six.phone102, "eth0")]),
    batch("lte", [
      add(six.cellular_edge, lte.cell),
      add(six.trunk, lte.hosts, 128),
      add(six.psap_gateway, "psap-lte", 128),
      `route add ${six.psap}/128 dev psap-lte`,
    ]),
    batch("psap-lte", [
      add(six.psap, "eth0", 128),
      `route add ${six.psap_gateway}/128 dev eth0`,
      `route add default via ${six.psap_gateway} dev eth0`,
    ]),
  ]);
  await run(["ip", "-n", "box", "addr", "del", `${cellular.box}/${cellular.prefix}`, "dev", box.lte]);
}

const stage: Stage = {
  name: "two-families",
  layout: { box: "one-armed", telephones: "later", box_running: false },

  async prepare(lab) {
    await addSix();
    const { directory, runDirectory } = lab;
    await Kamailio.start(lab.programs, {
      name: "six-trunk",
      namespace: "lte",
      config: trunkOfSix,
      directory,
      runDirectory,
    });
    const sound = { directory, runDirectory };
    const phone = (
      name: string,
      of: "baresip101" | "baresip102",
      address: string,
      box: string,
      control_port: number,
    ) => {
      const { namespace, user, password, rtp_port, tone_hz } = extensions[of];
      const toneFile = join(runDirectory, `tone-${tone_hz}.wav`);
      const registration = { password, outbound: [box], expires_s: 60 };
      const who = { name, namespace, user, address, rtp_port, tone_hz, toneFile, control_port };
      return new Baresip(lab.programs, { ...who, ...sound, domain: domains.pbx, registration });
    };
    const { namespace, user, tone_hz, rtp_port } = remotePhones.psapLte;
    const psap = new Baresip(lab.programs, {
      ...{ name: "psap6", namespace, user, tone_hz, rtp_port, address: six.psap, domain: `[${six.psap}]` },
      ...{ toneFile: join(runDirectory, `tone-${tone_hz}.wav`), control_port: 4431 },
      ...sound,
    });
    await lab.remote.psapLte.stop();
    await psap.start();
    await lab.box.start({ six: true });
    const four = phone("four101", "baresip101", extensions.baresip101.address, lan.box, 4401);
    const sixth = phone("six102", "baresip102", six.phone102, `[${six.box}]`, 4402);
    casts.set(lab, { four, sixth, psap });
    await Promise.all([four.start(), sixth.start()]);
    await Promise.all([four.registered(8000), sixth.registered(8000)]);
    await lab.box.mode("normal", 15_000);
    await trunkIsUp(lab, 15_000);
  },

  async settled(lab) {
    await until("the box to show no call", 5000, async () => {
      const engine = (await lab.box.status())?.engine;
      return (engine?.mode === "normal" && engine.calls.length === 0) || undefined;
    });
  },
};

async function phonesCall(lab: Lab): Promise<void> {
  const { four, sixth } = cast(lab);
  await internalCall(lab, sixth, four, "IPv6 to the box, IPv4 to the cloud and to the other");
  await internalCall(lab, four, sixth, "and the other way");
}

async function emergencies(lab: Lab): Promise<void> {
  const { four, sixth, psap } = cast(lab);
  for (const caller of [four, sixth]) {
    await lab.step(`${caller.name} (${caller.address}) calls 911: over LTE, which knows IPv6 alone`, async () => {
      for (const phone of [caller, psap]) phone.forget();
      await caller.dial(numbers.emergency);
      await psap.ringing(10_000);
      await psap.answer();
      await Promise.all([psap.established(5000), caller.established(5000)]);
      await sleep(TALK_MS);
      await hangUp(caller, psap);
      await bothHeard(lab, caller, psap);
    });
  }
}

export const twoFamilies: readonly Scenario[] = [
  {
    name: "ipv6-phone-calls",
    summary: "a telephone of IPv6 and one of IPv4 call each other through a cloud of IPv4",
    short: true,
    stage,
    run: phonesCall,
  },
  {
    name: "ipv6-only-lte-911",
    summary: "911 over a cellular network of IPv6 alone, from a telephone of IPv4 and one of IPv6",
    short: true,
    stage,
    run: emergencies,
  },
];
