/** baresip 1.0 without a head: its tone from a file, what it hears into a file, driven over its control port. */
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Namespace } from "../addresses.ts";
import { Journal, now } from "../deadline.ts";
import type { OutputLine, Program, Programs } from "../processes.ts";
import { type ControlEvent, ControlSocket } from "./control-socket.ts";
import type { IncomingCall, Telephone } from "./telephone.ts";

/** What a telephone is given beyond the ordinary. */
export interface BaresipExtras {
  /** Further modules: `presence.so`, … */
  readonly modules?: readonly string[];
  /** Modules that its account needs: `srtp.so`, `ice.so`, … */
  readonly media_modules?: readonly string[];
  /** Further parameters of its account: `mwi=yes`, … */
  readonly account?: readonly string[];
  /** Whom it knows, the first of them is the current one: lines of its `contacts` file. */
  readonly contacts?: readonly string[];
}

export interface BaresipOptions {
  readonly name: string;
  readonly namespace: Namespace;
  readonly user: string;
  readonly domain: string;
  readonly address: string;
  readonly rtp_port: number;
  readonly tone_hz: number;
  readonly toneFile: string;
  /** Port of its control interface; one per telephone in a namespace. */
  readonly control_port: number;
  readonly transport?: "udp" | "tcp" | "tls";
  /** Over TLS: the authorities that the server's certificate must come from. */
  readonly ca_file?: string;
  /** Left out: it does not register, and takes calls for any user. */
  readonly registration?: {
    readonly password: string;
    /** Where it sends everything, first choice first: `address` or `name`. */
    readonly outbound: readonly string[];
    readonly expires_s: number;
  };
  readonly dnsServers?: readonly string[];
  readonly directory: string;
  readonly runDirectory: string;
}

interface PhoneEvent extends ControlEvent {
  readonly at: number;
}

export class Baresip implements Telephone {
  readonly name: string;
  readonly user: string;
  readonly address: string;
  readonly tone_hz: number;
  readonly events = new Journal<PhoneEvent>();
  readonly #options: BaresipOptions;
  readonly #programs: Programs;
  #outbound: readonly string[] | undefined;
  #program: Program | undefined;
  #socat: Program | undefined;
  #control: ControlSocket | undefined;
  #mark = 0;
  #extras: BaresipExtras = {};

  constructor(programs: Programs, options: BaresipOptions) {
    this.#programs = programs;
    this.#options = options;
    this.name = options.name;
    this.user = options.user;
    this.address = options.address;
    this.tone_hz = options.tone_hz;
  }

  /** `outbound`: another place to send everything to than before; none: it asks for its domain. */
  async start(outbound?: readonly string[]): Promise<void> {
    if (outbound !== undefined) this.#outbound = outbound;
    const options = this.#options;
    await mkdir(this.#recordings, { recursive: true });
    await writeFile(join(this.#home, "config"), this.#config());
    await writeFile(join(this.#home, "accounts"), `${[this.#account(), ...(this.#extras.account ?? [])].join(";")}\n`);
    await writeFile(join(this.#home, "contacts"), `${(this.#extras.contacts ?? []).join("\n")}\n`);
    const socket = join(options.runDirectory, `${options.name}.sock`);
    this.#program = this.#programs.start({
      name: options.name,
      namespace: options.namespace,
      argv: ["baresip", "-f", this.#home, "-s", ...(isIpv6(options.address) ? ["-6"] : [])],
    });
    await this.#program.line(/baresip is ready/, 5000);
    this.#socat = this.#programs.start({
      name: `socat-${options.name}`,
      namespace: options.namespace,
      argv: ["socat", `UNIX-LISTEN:${socket},unlink-early`, `TCP4:127.0.0.1:${options.control_port}`],
    });
    this.#control = await ControlSocket.open(socket, (event) => this.events.push({ ...event, at: now() }));
  }

  async registered(deadline_ms: number): Promise<void> {
    // The events of a quick registration may precede the control connection: the printed line never does.
    await this.#running.line(/: \{\d+\/(?:UDP|TCP|TLS)\/v[46]\} 200 |200 OK.*\[\d+ binding/, deadline_ms);
  }

  async dial(target: string): Promise<void> {
    await this.#command("dial", target);
  }

  async ringing(deadline_ms: number): Promise<IncomingCall> {
    const event = await this.#event("CALL_INCOMING", "to ring", deadline_ms);
    return { at: event.at, caller: String(event.peeruri ?? "") };
  }

  async answer(): Promise<void> {
    await this.#command("accept");
  }

  async established(deadline_ms: number): Promise<void> {
    await this.#event("CALL_ESTABLISHED", "to be in a call", deadline_ms);
  }

  async hangUp(): Promise<void> {
    await this.#command("hangup");
  }

  async closed(deadline_ms: number): Promise<string> {
    const event = await this.#event("CALL_CLOSED", "to end its call", deadline_ms);
    return String(event.param ?? "");
  }

  /** Offers `sendonly`. */
  async hold(): Promise<void> {
    await this.#command("hold");
  }

  async resume(): Promise<void> {
    await this.#command("resume");
  }

  /** Sends the other end elsewhere (REFER). */
  async transfer(target: string): Promise<void> {
    await this.#command("transfer", target);
  }

  /** `early`: it answers with 183 and its sound before anybody picks up. */
  async answerMode(mode: "manual" | "early" | "auto"): Promise<void> {
    await this.#command("answermode", mode);
  }

  /** Starts it again with other extras in place of those before; resolves when it is registered, if it registers. */
  async restart(extras: BaresipExtras = {}): Promise<void> {
    await this.stop();
    this.#extras = extras;
    await this.start();
    if (this.#options.registration !== undefined) await this.registered(8000);
  }

  /** Waits for a line that it prints; `from`: a mark of `printed`. */
  async says(pattern: RegExp, deadline_ms: number, from = 0): Promise<OutputLine> {
    return this.#running.line(pattern, deadline_ms, from);
  }

  get printed(): number {
    return this.#running.output.mark;
  }

  /** Presses keys of its dial pad during a call (RFC 4733 events). */
  async press(keys: string): Promise<void> {
    await this.#command("sndcode", keys);
  }

  /** How many calls it has, by its own account. */
  async calls(): Promise<number> {
    const listed = await this.ask("listcalls");
    return [...listed.matchAll(/\bid=/g)].length;
  }

  /** A command of its console; resolves with what it printed. */
  async ask(command: string, params = ""): Promise<string> {
    if (this.#control === undefined) throw new Error(`${this.name} was not started`);
    return this.#control.command(command, params);
  }

  async recordings(): Promise<readonly string[]> {
    const files = (await readdir(this.#recordings)).filter((file) => file.endsWith("-dec.wav"));
    const dated = await Promise.all(
      files.map(async (file) => {
        const path = join(this.#recordings, file);
        return { path, changed: (await stat(path)).mtimeMs };
      }),
    );
    return dated.sort((a, b) => a.changed - b.changed).map(({ path }) => path);
  }

  forget(): void {
    this.#mark = this.events.mark;
  }

  async stop(): Promise<void> {
    this.#control?.close();
    await this.#program?.stop("SIGKILL");
    await this.#socat?.stop("SIGKILL");
  }

  /** It hangs: there, but says and does nothing. */
  freeze(): void {
    process.kill(this.#running.pid, "SIGSTOP");
  }

  thaw(): void {
    process.kill(this.#running.pid, "SIGCONT");
  }

  /** It is switched off in order, and signs off. */
  async quit(): Promise<void> {
    await this.#command("quit").catch(() => {});
    await this.#running.exited;
    this.#control?.close();
    await this.#socat?.stop("SIGKILL");
  }

  get running(): boolean {
    return this.#program?.running ?? false;
  }

  /** What it printed, for messages about failures. */
  get lastLines(): readonly OutputLine[] {
    return this.#program?.output.entries.slice(-5) ?? [];
  }

  get #running(): Program {
    if (this.#program === undefined) throw new Error(`${this.name} was not started`);
    return this.#program;
  }

  get #home(): string {
    return join(this.#options.directory, this.#options.name);
  }

  get #recordings(): string {
    return join(this.#home, "heard");
  }

  #event(type: string, what: string, deadline_ms: number): Promise<PhoneEvent> {
    return this.events.next(`${this.name} ${what}`, deadline_ms, (event) => event.type === type, this.#mark);
  }

  async #command(command: string, params = ""): Promise<void> {
    await this.ask(command, params);
  }

  #account(): string {
    const { user, domain, registration, transport = "udp" } = this.#options;
    const uri = `<sip:${user}@${domain};transport=${transport}>`;
    if (registration === undefined) return `${uri};regint=0;audio_codecs=PCMU`;
    const outbound = (this.#outbound ?? registration.outbound).map(
      (host, n) => `;outbound${n === 0 ? "" : n + 1}="sip:${host};transport=${transport}"`,
    );
    const credentials = `;auth_user=${user};auth_pass=${registration.password};regint=${registration.expires_s}`;
    return `${uri}${credentials}${outbound.join("")};audio_codecs=PCMU`;
  }

  #config(): string {
    const { address, ca_file, control_port, rtp_port, toneFile, dnsServers = [] } = this.#options;
    return `${[
      "module_path /usr/lib/baresip/modules",
      "module g711.so",
      "module aufile.so",
      "module aubridge.so",
      "module sndfile.so",
      ...(this.#extras.media_modules ?? []).map((module) => `module ${module}`),
      "module_tmp uuid.so",
      "module_tmp account.so",
      "module_app menu.so",
      "module_app ctrl_tcp.so",
      ...(this.#extras.modules ?? []).map((module) => `module_app ${module}`),
      `ctrl_tcp_listen 127.0.0.1:${control_port}`,
      `sip_listen ${isIpv6(address) ? `[${address}]` : address}:5060`,
      `net_interface ${isIpv6(address) ? "eth0" : address}`,
      ...(ca_file === undefined ? [] : [`sip_cafile ${ca_file}`]),
      `audio_source aufile,${toneFile}`,
      `audio_player aubridge,sink-${control_port}`,
      `audio_alert aubridge,alert-${control_port}`,
      "ausrc_srate 8000",
      "auplay_srate 8000",
      "ausrc_channels 1",
      "auplay_channels 1",
      `snd_path ${this.#recordings}`,
      `rtp_ports ${rtp_port}-${rtp_port + 100}`,
      ...dnsServers.map((server) => `dns_server ${server}:53`),
    ].join("\n")}\n`;
  }
}

/** Then it speaks nothing else. */
const isIpv6 = (address: string): boolean => address.includes(":");
