/** One lab: network, peers, telephones and, where the scenario wants it, the box. Made fresh for every run. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  cellular,
  domains,
  type Extension,
  extensions,
  hosts,
  interfaces,
  lan,
  type Namespace,
  ports,
  remotePhones,
  tones_hz,
} from "./addresses.ts";
import { type Heard, hear, writeTone } from "./audio.ts";
import { Box } from "./box/box.ts";
import { Capture } from "./capture/capture.ts";
import { Cuts } from "./cuts.ts";
import { until } from "./deadline.ts";
import { DelayLine } from "./delay-line.ts";
import { NameServers } from "./name-servers.ts";
import { addAddress, buildNetwork } from "./network.ts";
import { Baresip } from "./peers/baresip.ts";
import { Broker } from "./peers/broker.ts";
import { Kamailio } from "./peers/kamailio.ts";
import { cloudPbx, directTrunk, lteTrunk, lteTrunkBeyondNat } from "./peers/kamailio-configs.ts";
import { Linphone, type LinphoneOptions } from "./peers/linphone.ts";
import type { Telephone } from "./peers/telephone.ts";
import { Programs, tryRunIn } from "./processes.ts";
import { expect, type ScenarioLayout, type Timeline } from "./scenario.ts";

const TONE_SECONDS = 120;
const probeProgram = new URL("./servers/probe.ts", import.meta.url).pathname;

const queryProgram = new URL("./servers/dns-query.ts", import.meta.url).pathname;

export interface Phones {
  readonly baresip101: Baresip;
  readonly baresip102: Baresip;
  readonly linphone103: Linphone;
}

export interface PhoneOptions {
  /** They look for the box by its name, at the box's DNS first, and not by address. */
  readonly by_name?: boolean;
  /**
   * 103 does not register. Nobody can vouch for it where the cloud is out of reach; and refused, linphonec asks at its
   * command line for a password, for which it takes the next command.
   */
  readonly without_103?: boolean;
  /** The expiry that the baresip telephones ask for, s; default 60. */
  readonly expires_s?: number;
}

export interface Remote {
  readonly psapWan: Baresip;
  readonly psapLte: Baresip;
  readonly outside: Baresip;
}

export interface Captures {
  /** The box's port on the switch: telephones' side. */
  readonly lan: Capture;
  /** What reaches the internet from the site. */
  readonly wan: Capture;
  /** What reaches the carrier over the cellular link. */
  readonly lte: Capture;
}

export interface ProbeResult {
  readonly sent: number;
  readonly returned: number;
  readonly median_ms: number | null;
  readonly errors: readonly string[];
}

interface Parts {
  readonly layout: ScenarioLayout;
  readonly timeline: Timeline;
  readonly directory: string;
  readonly runDirectory: string;
  readonly programs: Programs;
  readonly captures: Captures;
  readonly cuts: Cuts;
  readonly names: NameServers;
  readonly pbx: Kamailio;
  readonly lteTrunk: Kamailio;
  readonly directTrunk: Kamailio;
  readonly broker: Broker;
  readonly remote: Remote;
  readonly box: Box;
}

export class Lab {
  readonly layout: ScenarioLayout;
  /** Of the scenario that is being played. */
  timeline: Timeline;
  readonly captures: Captures;
  readonly cuts: Cuts;
  readonly names: NameServers;
  readonly pbx: Kamailio;
  readonly lteTrunk: Kamailio;
  readonly directTrunk: Kamailio;
  readonly broker: Broker;
  readonly remote: Remote;
  readonly box: Box;
  readonly directory: string;
  readonly runDirectory: string;
  readonly programs: Programs;
  #phones: Phones | undefined;

  private constructor(parts: Parts) {
    this.layout = parts.layout;
    this.timeline = parts.timeline;
    this.captures = parts.captures;
    this.cuts = parts.cuts;
    this.names = parts.names;
    this.pbx = parts.pbx;
    this.lteTrunk = parts.lteTrunk;
    this.directTrunk = parts.directTrunk;
    this.broker = parts.broker;
    this.remote = parts.remote;
    this.box = parts.box;
    this.directory = parts.directory;
    this.runDirectory = parts.runDirectory;
    this.programs = parts.programs;
  }

  /** `directory` keeps logs, captures and configurations; `runDirectory` is private to this run (sockets, tones). */
  static async start(
    layout: ScenarioLayout,
    timeline: Timeline,
    directory: string,
    runDirectory: string,
  ): Promise<Lab> {
    await mkdir(runDirectory, { recursive: true });
    const programs = new Programs(directory);
    const tones = Promise.all(tones_hz.map((hz) => writeTone(join(runDirectory, `tone-${hz}.wav`), hz, TONE_SECONDS)));
    await buildNetwork(layout);
    const kamailio = (name: string, namespace: Namespace, config: (control: string) => string) =>
      Kamailio.start(programs, { name, namespace, config, directory, runDirectory });
    const broker = new Broker(programs, directory);
    const capture = (namespace: Namespace, port: string) => Capture.start(programs, namespace, port, directory);
    const [names, pbx, lteSide, direct, lanSeen, wanSeen, lteSeen] = await Promise.all([
      NameServers.start(programs, runDirectory),
      kamailio("pbx", "wan", cloudPbx),
      kamailio("lte-trunk", "lte", layout.carrier_nat_s === undefined ? lteTrunk : lteTrunkBeyondNat),
      kamailio("direct-trunk", "wan", directTrunk),
      capture("box", interfaces.box.lan),
      capture("wan", interfaces.wan.isp),
      capture("lte", interfaces.lte.cell),
      broker.start(),
      tones,
      linksForward(),
    ]);
    const remoteAt = (key: keyof Remote, control_port: number) => {
      const { user, address, namespace, tone_hz, rtp_port } = remotePhones[key];
      const toneFile = join(runDirectory, `tone-${tone_hz}.wav`);
      const where = { user, address, namespace, tone_hz, rtp_port, toneFile, domain: address, control_port };
      return new Baresip(programs, { ...where, name: key, directory, runDirectory });
    };
    const remote: Remote = {
      psapWan: remoteAt("psapWan", 4411),
      psapLte: remoteAt("psapLte", 4421),
      outside: remoteAt("outside", 4422),
    };
    await Promise.all(Object.values(remote).map((phone: Baresip) => phone.start()));
    const { isp } = interfaces;
    const delay = new DelayLine(programs, layout.box === "two-port" ? [isp.lan, isp.site] : [isp.lan]);
    const lab = new Lab({
      layout,
      timeline,
      directory,
      runDirectory,
      programs,
      captures: { lan: lanSeen, wan: wanSeen, lte: lteSeen },
      cuts: new Cuts(layout, names, delay),
      names,
      pbx,
      lteTrunk: lteSide,
      directTrunk: direct,
      broker,
      remote,
      box: new Box(programs, layout, directory, runDirectory),
    });
    // Box and telephones get power at once, as after a power cut: these may ask it before it has its site file.
    const transport = layout.tcp === true ? "tcp" : "udp";
    const options = { pbx_transport: transport, trunk_transport: transport } as const;
    if (layout.box_running) await lab.box.powerOn({ ...options, direct_trunk: layout.direct_trunk === true });
    if (layout.telephones !== "later") await lab.startPhones(layout.telephones);
    if (layout.box_running) await lab.box.configured();
    return lab;
  }

  get phones(): Phones {
    if (this.#phones === undefined) throw new Error("the telephones were not started");
    return this.#phones;
  }

  /** Gives the telephones power and waits until each is registered, through the box or straight with the cloud. */
  async startPhones(through: "box" | "cloud", options: PhoneOptions = {}): Promise<void> {
    const outbound = through === "cloud" ? [hosts.pbx] : options.by_name ? [domains.box] : [lan.box];
    const toneOf = (phone: Extension) => join(this.runDirectory, `tone-${phone.tone_hz}.wav`);
    const baresip = (name: string, phone: Extension, control_port: number) =>
      new Baresip(this.programs, {
        name,
        namespace: phone.namespace,
        user: phone.user,
        domain: domains.pbx,
        address: phone.address,
        rtp_port: phone.rtp_port,
        tone_hz: phone.tone_hz,
        toneFile: toneOf(phone),
        control_port,
        transport: this.layout.tcp === true ? "tcp" : "udp",
        registration: { password: phone.password, outbound, expires_s: options.expires_s ?? 60 },
        dnsServers: [lan.box, lan.router],
        directory: this.directory,
        runDirectory: this.runDirectory,
      });
    this.#phones = {
      baresip101: baresip("baresip101", extensions.baresip101, 4401),
      baresip102: baresip("baresip102", extensions.baresip102, 4402),
      linphone103: this.linphone("linphone103", outbound[0] ?? "", { registers: !options.without_103 }),
    };
    const all = Object.values(this.#phones) as (Baresip | Linphone)[];
    await Promise.all(all.map((phone) => phone.start()));
    const registering = options.without_103 ? all.filter((phone) => phone !== this.phones.linphone103) : all;
    await Promise.all(registering.map((phone) => phone.registered(8000)));
  }

  /** A linphone telephone of the site, not yet started. `outbound`: where it sends everything. */
  linphone(
    name: Extract<keyof typeof extensions, `linphone${string}`>,
    outbound: string = lan.box,
    options: Pick<LinphoneOptions, "settings"> & { readonly registers?: boolean } = {},
  ): Linphone {
    const { namespace, user, password, address, sip_port, rtp_port, tone_hz } = extensions[name];
    const account = { user, password, address, sip_port, rtp_port, tone_hz, domain: domains.pbx, expires_s: 60 };
    return new Linphone(this.programs, {
      ...account,
      name,
      namespace,
      toneFile: join(this.runDirectory, `tone-${tone_hz}.wav`),
      outbound,
      registers: options.registers ?? true,
      directory: this.directory,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    });
  }

  /** Asks an echo from the box's own addresses, over whatever route the kernel takes. */
  async probe(
    local: string,
    address: string,
    options: { readonly count?: number; readonly patience_ms?: number } = {},
  ): Promise<ProbeResult> {
    const { count = 3, patience_ms = 300 } = options;
    const settings = { local, address, port: ports.echo, count, interval_ms: count > 10 ? 1 : 20, patience_ms };
    const { stdout } = await tryRunIn("box", [process.execPath, probeProgram, JSON.stringify(settings)]);
    return JSON.parse(stdout) as ProbeResult;
  }

  /**
   * What a DNS server says of a name: the response code and the records' data, or `none` when it is silent. `how`: a type
   * other than A, and `tcp`.
   */
  async resolve(from: Namespace, server: string, name: string, ...how: readonly string[]): Promise<string> {
    const { stdout } = await tryRunIn(from, [process.execPath, queryProgram, server, name, ...how]);
    return stdout.trim();
  }

  /** One more Kamailio, at an address of its own. */
  async kamailio(name: string, namespace: "wan" | "lte", address: string, config: (control: string) => string) {
    await addAddress(namespace, address);
    const { directory, runDirectory } = this;
    return Kamailio.start(this.programs, { name, namespace, config, directory, runDirectory });
  }

  /** Whether one ping from a namespace is answered within a second, and what ping printed. */
  async ping(namespace: Namespace, address: string): Promise<{ readonly answered: boolean; readonly text: string }> {
    const { code, stdout } = await tryRunIn(namespace, ["ping", "-n", "-c", "1", "-W", "1", address]);
    return { answered: code === 0, text: stdout };
  }

  /** Fails unless the newest recording of `listener` holds the tone of `speaker` for at least `at_least_ms`. */
  async heard(listener: Telephone, speaker: Telephone, at_least_ms: number): Promise<Heard> {
    const newest = (await listener.recordings()).at(-1);
    expect(newest !== undefined, `${listener.name} recorded nothing`);
    const heard = await hear(newest, tones_hz);
    const amount = heard.ms_by_tone.get(speaker.tone_hz) ?? 0;
    const all = [...heard.ms_by_tone].map(([hz, ms]) => `${hz} Hz ${ms} ms`).join(", ") || "no tone";
    expect(
      amount >= at_least_ms && heard.tone_hz === speaker.tone_hz,
      `${listener.name} must have heard ${speaker.name} (${speaker.tone_hz} Hz) for ${at_least_ms} ms; ` +
        `its recording of ${heard.length_ms} ms holds ${all}`,
    );
    this.timeline.note(`${listener.name} heard ${speaker.name}'s ${speaker.tone_hz} Hz for ${amount} ms`);
    return heard;
  }

  step<T>(name: string, act: () => Promise<T>): Promise<T> {
    return this.timeline.step(name, act);
  }

  measure(key: string, value: number): void {
    this.timeline.measure(key, value);
  }

  async stop(): Promise<void> {
    await this.programs.stopAll();
  }
}

/** The kernel lets a new bridge port forward up to a second after its link came up. */
async function linksForward(): Promise<void> {
  const phones = Object.values(extensions).map(({ address }) => address);
  const far = Object.values(remotePhones).map(({ address }) => address);
  await Promise.all(
    [lan.router, cellular.edge, ...phones, ...far].map((address) =>
      until(`the box to reach ${address}`, 5000, async () => {
        const { code } = await tryRunIn("box", ["ping", "-n", "-q", "-c", "1", "-W", "0.1", address]);
        return code === 0 || undefined;
      }),
    ),
  );
}
