import type { Socket } from "node:net";
import type { Clock, Timer } from "../clock.ts";
import { HoldfastError, isHoldfastError } from "../errors.ts";
import type { HoldfastEvent } from "../events.ts";
import type { Log } from "../log.ts";
import {
  type Frame,
  LINK_VERSION,
  type ProcessName,
  parseFrame,
  type Requests,
  type RequestType,
  type Telemetry,
  type TelemetryType,
} from "./messages.ts";

const LINE_LIMIT = 16 * 1024 * 1024;
const ASK_TIMEOUT_MS = 2000;

/** What the owner of a link does with what comes in. Everything is optional: what is not handled is refused. */
export interface LinkHandlers {
  telemetry?<T extends TelemetryType>(type: T, data: Telemetry[T], from: ProcessName): void;
  /** Call `acknowledge` once the record is on disk; it then leaves the sender's journal. */
  record?(event: HoldfastEvent, acknowledge: () => void, from: ProcessName): void;
  ask?<T extends RequestType>(
    type: T,
    question: Requests[T]["question"],
    from: ProcessName,
  ): Promise<Requests[T]["answer"]>;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  timer: Timer;
}

/** One connected socket: frames in, frames out, questions matched with their answers. */
export class LinkChannel {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #handlers: LinkHandlers;
  readonly #onReady: (peer: ProcessName) => void;
  readonly #onAck: (ids: readonly string[]) => void;
  readonly #onDrained: () => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #latest = new Map<TelemetryType, unknown>();
  readonly #acks: string[] = [];
  #ackTimer: Timer | undefined;
  #parts: string[] = [];
  #partLength = 0;
  #asked = 0;
  #congested = false;
  peer: ProcessName | undefined;

  constructor(options: {
    socket: Socket;
    name: ProcessName;
    boot_id: string;
    clock: Clock;
    log: Log;
    handlers: LinkHandlers;
    onReady: (peer: ProcessName) => void;
    onAck: (ids: readonly string[]) => void;
    /** The other side reads again after a time in which {@link LinkChannel.congested} was true. */
    onDrained?: () => void;
    onClosed: () => void;
  }) {
    this.#socket = options.socket;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#handlers = options.handlers;
    this.#onReady = options.onReady;
    this.#onAck = options.onAck;
    this.#onDrained = options.onDrained ?? (() => {});
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (text: string) => this.#receive(text));
    this.#socket.on("drain", () => this.#drained());
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("close", () => {
      for (const waiting of this.#waiting.values()) {
        waiting.timer.cancel();
        waiting.reject(new HoldfastError("link.closed", "The connection to the other process was lost."));
      }
      this.#waiting.clear();
      this.#ackTimer?.cancel();
      options.onClosed();
    });
    this.#write({ k: "hello", v: LINK_VERSION, name: options.name, boot_id: options.boot_id });
  }

  telemetry<T extends TelemetryType>(type: T, data: Telemetry[T]): void {
    if (this.#congested) this.#latest.set(type, data);
    else this.#write({ k: "telemetry", type, data });
  }

  /** The other side does not read as fast as is written; records should wait in their journal. */
  get congested(): boolean {
    return this.#congested;
  }

  record(event: HoldfastEvent): void {
    this.#write({ k: "record", event });
  }

  ask<T extends RequestType>(
    type: T,
    question: Requests[T]["question"],
    timeout_ms = ASK_TIMEOUT_MS,
  ): Promise<Requests[T]["answer"]> {
    const n = ++this.#asked;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeout_ms, () => {
        this.#waiting.delete(n);
        reject(new HoldfastError("link.timeout", `No answer to ${type} in ${timeout_ms} ms.`));
      });
      this.#waiting.set(n, { resolve: (answer) => resolve(answer as Requests[T]["answer"]), reject, timer });
      this.#write({ k: "ask", n, type, question });
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #write(frame: Frame): void {
    if (this.#socket.destroyed) return;
    if (!this.#socket.write(`${JSON.stringify(frame)}\n`)) this.#congested = true;
  }

  #drained(): void {
    this.#congested = false;
    for (const [type, data] of [...this.#latest]) {
      this.#latest.delete(type);
      this.#write({ k: "telemetry", type, data });
    }
    this.#onDrained();
  }

  #receive(text: string): void {
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      this.#parts.push(text.slice(from, end));
      const line = this.#parts.length === 1 ? (this.#parts[0] ?? "") : this.#parts.join("");
      this.#parts = [];
      this.#partLength = 0;
      from = end + 1;
      this.#line(line);
      if (this.#socket.destroyed) return;
    }
    if (from < text.length) {
      this.#parts.push(text.slice(from));
      this.#partLength += text.length - from;
      if (this.#partLength > LINE_LIMIT) {
        this.#log.error("link: a line of more than 16 MiB; connection dropped", { peer: this.peer });
        this.#socket.destroy();
      }
    }
  }

  #line(line: string): void {
    const frame = parseFrame(line);
    if (frame === undefined) {
      this.#log.error("link: a line that is no message; connection dropped", { peer: this.peer });
      this.#socket.destroy();
      return;
    }
    if (frame === "unknown") return;
    if (frame.k === "hello") {
      if (frame.v !== LINK_VERSION) {
        this.#log.error("link: another version; connection refused", { ours: LINK_VERSION, theirs: frame.v });
        this.#socket.destroy();
        return;
      }
      this.peer = frame.name;
      this.#onReady(frame.name);
      return;
    }
    const peer = this.peer;
    if (peer === undefined) {
      this.#socket.destroy();
      return;
    }
    switch (frame.k) {
      case "telemetry":
        this.#handlers.telemetry?.(frame.type, frame.data as never, peer);
        return;
      case "record":
        this.#handlers.record?.(frame.event, () => this.#acknowledge(frame.event.id), peer);
        return;
      case "ack":
        this.#onAck(frame.ids);
        return;
      case "ask":
        void this.#answer(frame.n, frame.type, frame.question, peer);
        return;
      case "answer":
        this.#settle(frame.n)?.resolve(frame.answer);
        return;
      case "refuse":
        this.#settle(frame.n)?.reject(new RefusedError(frame.code, frame.detail));
        return;
    }
  }

  async #answer(n: number, type: RequestType, question: unknown, peer: ProcessName): Promise<void> {
    try {
      if (this.#handlers.ask === undefined) throw new HoldfastError("link.refused", `${type} is not answered here.`);
      const answer = await this.#handlers.ask(type, question as never, peer);
      this.#write({ k: "answer", n, answer: answer ?? null });
    } catch (error) {
      const code = isHoldfastError(error) ? error.code : "link.refused";
      const detail = isHoldfastError(error) ? error.detail : error instanceof Error ? error.message : String(error);
      this.#write({ k: "refuse", n, code, detail });
    }
  }

  #settle(n: number): Waiting | undefined {
    const waiting = this.#waiting.get(n);
    this.#waiting.delete(n);
    waiting?.timer.cancel();
    return waiting;
  }

  /** Acknowledgements of one turn go out together. */
  #acknowledge(id: string): void {
    this.#acks.push(id);
    this.#ackTimer ??= this.#clock.after(0, () => {
      this.#ackTimer = undefined;
      this.#write({ k: "ack", ids: this.#acks.splice(0) });
    });
  }
}

/** The other side's refusal, with its code. */
export class RefusedError extends Error {
  readonly code: string;
  readonly detail: string;

  constructor(code: string, detail: string) {
    super(`[${code}] ${detail}`);
    this.name = "RefusedError";
    this.code = code;
    this.detail = detail;
  }
}
