import { type ByteStream, fromBytes, toBytes } from "../../base/byte-stream.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import { AtLines } from "./lines.ts";
import { finalOf } from "./results.ts";
import { unsolicited } from "./unsolicited.ts";

/**
 * One conversation with a modem: one command in flight, its answer told apart from what comes unasked.
 *
 * Invariants: a result belongs to the command it is given to. After a timeout the late result may still come, so
 * nothing else is sent until a question whose answer cannot be mistaken for it has been answered.
 */
export interface AtCommand {
  /** Without its line end: `AT+CSQ`. */
  readonly text: string;
  readonly timeout_ms?: number;
  /** Which lines are its answer; left out: those that begin with its own name (`+CSQ:`). */
  readonly accepts?: (line: string) => boolean;
  /** Sent when the modem prompts for it, ended by Ctrl-Z (TS 27.005 §3.5.1). */
  readonly payload?: string;
}

export type AtResult =
  | { readonly type: "ok"; readonly lines: readonly string[] }
  | {
      readonly type: "error";
      /** The modem's words. */
      readonly text: string;
      readonly cme: number | undefined;
      readonly cms: number | undefined;
      readonly lines: readonly string[];
    }
  | { readonly type: "timeout" }
  | { readonly type: "closed" };

const TIMEOUT_MS = 3000;
const RESYNC_TIMEOUT_MS = 2000;
const ANSWER_LINES_MAX = 100;
const ESCAPE = "\u001b";
const CTRL_Z = "\u001a";
/** Every modem answers both (TS 27.007 §9.1, §8.2), each with a line of its own. */
const PROBES = ["+CMEE", "+CFUN"] as const;

interface Waiting {
  readonly command: AtCommand;
  readonly done: (result: AtResult) => void;
}

interface InFlight extends Waiting {
  readonly lines: string[];
  readonly timer: Timer;
}

/** A question whose answer ends a doubt. */
interface Resync {
  readonly probe: string;
  readonly timer: Timer;
  /** Its line has come, its OK has not. */
  answered: boolean;
}

/** For commands whose answer is a line without a name: `AT+CGMM`, `ATI`. */
export const ANY_LINE = (line: string): boolean => unsolicited(line) === undefined;

export class AtChannel {
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #onUnsolicited: (line: string, text: string | undefined) => void;
  readonly #lines = new AtLines();
  readonly #queue: Waiting[] = [];
  #inFlight: InFlight | undefined;
  #resync: Resync | undefined;
  /** The command whose result may still come; undefined: there is no doubt. */
  #doubt: string | undefined;
  #awaitingText: string | undefined;
  #closed = false;
  /** Lines that were neither an answer nor anything known. */
  strays = 0;

  constructor(options: {
    readonly stream: ByteStream;
    readonly clock: Clock;
    readonly onUnsolicited: (line: string, text: string | undefined) => void;
  }) {
    this.#stream = options.stream;
    this.#clock = options.clock;
    this.#onUnsolicited = options.onUnsolicited;
    this.#stream.onData((bytes) => this.#receive(fromBytes(bytes)));
  }

  send(command: AtCommand): Promise<AtResult> {
    if (this.#closed) return Promise.resolve({ type: "closed" });
    return new Promise((done) => {
      this.#queue.push({ command, done });
      this.#next();
    });
  }

  /** Sends without waiting for anything, for a modem that does not answer; drops what is in flight. */
  shout(text: string): void {
    this.#stream.write(toBytes(`${ESCAPE}\r${text}\r`));
    this.#doubt = text;
  }

  /** Everything waiting ends as `closed`. The stream is its owner's to close. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#resync?.timer.cancel();
    this.#inFlight?.timer.cancel();
    const waiting = [...(this.#inFlight === undefined ? [] : [this.#inFlight]), ...this.#queue.splice(0)];
    this.#inFlight = undefined;
    for (const { done } of waiting) done({ type: "closed" });
  }

  #next(): void {
    if (this.#closed || this.#inFlight !== undefined || this.#resync !== undefined) return;
    const [first] = this.#queue;
    if (first === undefined) return;
    if (this.#doubt !== undefined) {
      this.#startResync(this.#doubt);
      return;
    }
    this.#queue.shift();
    const { command } = first;
    const timer = this.#clock.after(command.timeout_ms ?? TIMEOUT_MS, () => {
      this.#doubt = command.text;
      this.#finish({ type: "timeout" });
    });
    this.#inFlight = { ...first, lines: [], timer };
    this.#stream.write(toBytes(`${command.text}\r`));
  }

  #startResync(doubtful: string): void {
    const probe = PROBES.find((name) => !doubtful.includes(name)) ?? PROBES[0];
    const timer = this.#clock.after(RESYNC_TIMEOUT_MS, () => {
      this.#resync = undefined;
      this.#doubt = probe;
      this.#queue.shift()?.done({ type: "timeout" });
      this.#next();
    });
    this.#resync = { probe, timer, answered: false };
    this.#lines.clear();
    this.#stream.write(toBytes(`AT${probe}?\r`));
  }

  #finish(result: AtResult): void {
    const finished = this.#inFlight;
    if (finished === undefined) return;
    finished.timer.cancel();
    this.#inFlight = undefined;
    finished.done(result);
    this.#next();
  }

  #receive(text: string): void {
    if (this.#closed) return;
    for (const piece of this.#lines.push(text)) {
      if (piece.type === "prompt") this.#prompted();
      else this.#line(piece.text);
      if (this.#closed) return;
    }
  }

  #prompted(): void {
    const payload = this.#inFlight?.command.payload;
    // A prompt that nobody waits for (left over from before a restart) would swallow all that follows.
    this.#stream.write(toBytes(payload === undefined ? ESCAPE : `${payload}${CTRL_Z}`));
  }

  #line(line: string): void {
    const heading = this.#awaitingText;
    if (heading !== undefined) {
      this.#awaitingText = undefined;
      this.#onUnsolicited(heading, line);
      return;
    }
    if (this.#resync !== undefined) {
      if (this.#resyncLine(line, this.#resync)) return;
    } else if (this.#inFlight !== undefined && this.#answerLine(line, this.#inFlight)) return;
    const known = unsolicited(line);
    if (known === undefined) this.strays++;
    else if (known.text_follows) this.#awaitingText = line;
    else this.#onUnsolicited(line, undefined);
  }

  /** Results before the probe's own line belong to the command in doubt. */
  #resyncLine(line: string, resync: Resync): boolean {
    if (line.startsWith(`${resync.probe}:`)) {
      resync.answered = true;
      return true;
    }
    if (finalOf(line, `AT${resync.probe}?`) === undefined) return line === `AT${resync.probe}?`;
    if (!resync.answered) return true;
    resync.timer.cancel();
    this.#resync = undefined;
    this.#doubt = undefined;
    this.#next();
    return true;
  }

  #answerLine(line: string, { command, lines }: InFlight): boolean {
    // The echo, until it is switched off.
    if (line === command.text) return true;
    const final = finalOf(line, command.text);
    if (final !== undefined) {
      this.#finish({ ...final, lines });
      return true;
    }
    const accepts = command.accepts ?? ((answer: string) => answer.startsWith(`${nameOf(command.text)}:`));
    if (!accepts(line)) return false;
    if (lines.length < ANSWER_LINES_MAX) lines.push(line);
    return true;
  }
}

/** `+CSQ` of `AT+CSQ` and `AT+CSQ?`. */
function nameOf(text: string): string {
  return /^AT([+^$*%&][A-Z0-9]+)/i.exec(text)?.[1] ?? text;
}
