/** linphonec without a head: driven by its command line, tone from a file, what it hears into a file. */
import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Namespace } from "../addresses.ts";
import { until } from "../deadline.ts";
import type { OutputLine, Program, Programs } from "../processes.ts";
import type { IncomingCall, Telephone } from "./telephone.ts";

export interface LinphoneOptions {
  readonly name: string;
  readonly namespace: Namespace;
  readonly user: string;
  readonly password: string;
  readonly domain: string;
  readonly address: string;
  readonly sip_port: number;
  readonly rtp_port: number;
  readonly tone_hz: number;
  readonly toneFile: string;
  /** Where it sends everything. */
  readonly outbound: string;
  /** False: it calls without ever having registered. */
  readonly registers: boolean;
  readonly expires_s: number;
  readonly directory: string;
  /** Further lines of its configuration, by section. */
  readonly settings?: Readonly<Record<string, readonly string[]>>;
}

const codecs = [
  ["PCMU", 8000, 1, 1],
  ["opus", 48_000, 2, 0],
  ["speex", 16_000, 1, 0],
  ["speex", 8000, 1, 0],
  ["speex", 32_000, 1, 0],
  ["PCMA", 8000, 1, 0],
  ["G729", 8000, 1, 0],
] as const;

export class Linphone implements Telephone {
  readonly name: string;
  readonly user: string;
  readonly address: string;
  readonly tone_hz: number;
  readonly #options: LinphoneOptions;
  readonly #programs: Programs;
  #program: Program | undefined;
  #mark = 0;
  #calls = 0;
  #settings: NonNullable<LinphoneOptions["settings"]>;

  constructor(programs: Programs, options: LinphoneOptions) {
    this.#programs = programs;
    this.#options = options;
    this.name = options.name;
    this.user = options.user;
    this.address = options.address;
    this.tone_hz = options.tone_hz;
    this.#settings = options.settings ?? {};
  }

  async start(): Promise<void> {
    await mkdir(join(this.#home, ".local", "share", "linphone"), { recursive: true });
    await writeFile(join(this.#home, "linphonerc"), this.#config());
    this.#program = this.#programs.start({
      name: this.name,
      namespace: this.#options.namespace,
      argv: ["linphonec", "-S", "-c", join(this.#home, "linphonerc"), "-d", "4", "-l", "/dev/stderr"],
      env: { HOME: this.#home },
      cwd: this.#home,
    });
    this.#program.write("soundcard use files\n");
    this.#program.write(`play ${this.#options.toneFile}\n`);
    this.#nextRecording();
  }

  async registered(deadline_ms: number): Promise<void> {
    await this.#running.line(/to \[LinphoneRegistrationOk\]/, deadline_ms);
  }

  async dial(target: string): Promise<void> {
    this.#running.write(`call ${target}\n`);
  }

  async ringing(deadline_ms: number): Promise<IncomingCall> {
    const line = await this.#line(/to LinphoneCallIncomingReceived|to \[?LinphoneCallIncomingReceived/, deadline_ms);
    return { at: line.at, caller: line.text };
  }

  async answer(): Promise<void> {
    this.#running.write("answer\n");
  }

  async established(deadline_ms: number): Promise<void> {
    await this.#line(/to \[?LinphoneCallStreamsRunning/, deadline_ms);
  }

  async hangUp(): Promise<void> {
    this.#running.write("terminate\n");
  }

  async closed(deadline_ms: number): Promise<string> {
    const line = await this.#line(/to \[?LinphoneCallReleased/, deadline_ms);
    return line.text;
  }

  /** Pauses the current call: it offers `sendonly` (and `inactive` where it was paused itself). */
  async hold(): Promise<void> {
    this.#running.write("pause\n");
  }

  /** Takes up a paused call again; `call`: which, where there are several. */
  async resume(call?: number): Promise<void> {
    this.#running.write(call === undefined ? "resume\n" : `resume ${call}\n`);
  }

  async answerCall(call: number): Promise<void> {
    this.#running.write(`answer ${call}\n`);
  }

  async hangUpCall(call: number): Promise<void> {
    this.#running.write(`terminate ${call}\n`);
  }

  /** Sends the other end elsewhere (REFER). */
  async transfer(target: string): Promise<void> {
    this.#running.write(`transfer ${target}\n`);
  }

  /** Sends a call that rings elsewhere (302). */
  async redirect(call: number, target: string): Promise<void> {
    this.#running.write(`redirect ${call} ${target}\n`);
  }

  /** Joins the two people it speaks with: `call` is sent to where `other` leads (REFER with Replaces). */
  async join(call: number, other: number): Promise<void> {
    this.#running.write(`transfer ${call} --to-call ${other}\n`);
  }

  /** Starts it again with further lines of configuration, in place of those before; resolves when it is registered. */
  async restart(settings: NonNullable<LinphoneOptions["settings"]> = {}): Promise<void> {
    await this.stop();
    this.#settings = settings;
    await this.start();
    await this.registered(8000);
  }

  /** Sends a text (MESSAGE). */
  async write(target: string, text: string): Promise<void> {
    this.#running.write(`chat ${target} ${text}\n`);
  }

  /** Presses one key of its dial pad during a call. */
  async press(key: string): Promise<void> {
    this.#running.write(`${key}\n`);
  }

  /** Waits for a line of its log since the last `forget`. */
  async says(pattern: RegExp, deadline_ms: number): Promise<OutputLine> {
    return this.#line(pattern, deadline_ms);
  }

  /** The number that it has given to its `nth` call (0: the first) since the last `forget`. */
  async callNumber(nth: number, deadline_ms = 3000): Promise<number> {
    return until(`${this.name} to have ${nth + 1} calls`, deadline_ms, () => {
      const lines = this.#running.output.since(this.#mark);
      const numbers = lines.flatMap(({ text }) => text.match(/assigned id (\d+)/)?.[1] ?? []);
      return numbers[nth] === undefined ? undefined : Number(numbers[nth]);
    });
  }

  /** Waits until that call of its has sound. */
  async inCall(call: number, deadline_ms = 3000): Promise<void> {
    await this.#line(new RegExp(`^(?:linphonec> )?Call ${call} with .* connected`), deadline_ms);
  }

  /** How many calls it has, by its own account. */
  async calls(): Promise<number> {
    const mark = this.#running.output.mark;
    this.#running.write("calls\n");
    const listed = await this.#running.line(/No active call|^\s*\d+\s+\|/, 2000, mark);
    return /No active call/.test(listed.text)
      ? 0
      : this.#running.output.since(mark).filter(({ text }) => /^\s*\d+\s+\|/.test(text)).length;
  }

  async recordings(): Promise<readonly string[]> {
    const files = Array.from({ length: this.#calls }, (_, n) => this.#recording(n));
    const sizes = await Promise.all(
      files.map((file) =>
        stat(file).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    );
    return files.filter((_, n) => (sizes[n] ?? 0) > 44);
  }

  forget(): void {
    this.#mark = this.#running.output.mark;
    this.#nextRecording();
  }

  async stop(): Promise<void> {
    await this.#program?.stop("SIGKILL");
  }

  get #running(): Program {
    if (this.#program === undefined) throw new Error(`${this.name} was not started`);
    return this.#program;
  }

  get #home(): string {
    return join(this.#options.directory, this.name);
  }

  #recording(n: number): string {
    return join(this.#home, `heard-${n}.wav`);
  }

  #nextRecording(): void {
    this.#running.write(`record ${this.#recording(this.#calls++)}\n`);
  }

  #line(pattern: RegExp, deadline_ms: number): Promise<OutputLine> {
    return this.#running.line(pattern, deadline_ms, this.#mark);
  }

  #config(): string {
    const { user, password, domain, address, sip_port, rtp_port, outbound, registers, expires_s } = this.#options;
    const { sip = [], ...other } = this.#settings;
    const further = Object.entries(other);
    return [
      "[sip]",
      ...sip,
      `sip_port=${sip_port}`,
      "sip_tcp_port=0",
      "sip_tls_port=0",
      `bind_address=${address}`,
      "use_ipv6=0",
      "guess_hostname=0",
      "default_proxy=0",
      "register_only_when_network_is_up=0",
      "[net]",
      "mtu=1500",
      "[rtp]",
      `audio_rtp_port=${rtp_port}`,
      "[sound]",
      "echocancellation=0",
      "[proxy_0]",
      `reg_proxy=<sip:${outbound};transport=udp>`,
      `reg_route=<sip:${outbound};transport=udp;lr>`,
      `reg_identity=<sip:${user}@${domain}>`,
      `reg_expires=${expires_s}`,
      `reg_sendregister=${registers ? 1 : 0}`,
      "publish=0",
      "[auth_info_0]",
      `username=${user}`,
      `passwd=${password}`,
      `realm=${domain}`,
      `domain=${domain}`,
      // The lab recognises tones in G.711 alone; two linphones would take opus.
      ...codecs.flatMap(([mime, rate, channels, enabled], n) => [
        `[audio_codec_${n}]`,
        ...[`mime=${mime}`, `rate=${rate}`, `channels=${channels}`, `enabled=${enabled}`],
      ]),
      // Its instance (RFC 5626 §4.1) is the telephone's, whatever configuration it is started with.
      "[misc]",
      `uuid=f0000000-0000-4000-8000-000000000${user}`,
      ...further.flatMap(([section, lines]) => [`[${section}]`, ...lines]),
      "",
    ].join("\n");
  }
}
