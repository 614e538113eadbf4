import { bodyStart, LIMITS } from "../messages/parse.ts";

/**
 * Cuts a TCP stream into SIP messages (RFC 3261 §18.3): head up to the empty line, then as many body bytes as
 * Content-Length says. Work is linear in the bytes received, however small the pieces they come in.
 */
export type Frame =
  | { readonly type: "message"; readonly bytes: Uint8Array }
  /** A CRLF between messages: half a keep-alive ping or a whole pong (RFC 5626 §4.4.1). */
  | { readonly type: "crlf" }
  /** Its body is larger than any message may be, and is passed over: what follows it is as good as ever. */
  | { readonly type: "oversize"; readonly head: Uint8Array }
  /** No way to find the next message: the connection must go. `head` is there when a 400 may be tried. */
  | { readonly type: "broken"; readonly reason: BrokenReason; readonly head?: Uint8Array };

export type BrokenReason = "too_large" | "no_content_length" | "bad_content_length";

export const MAX_MESSAGE_BYTES = LIMITS.message_bytes;

/** A body that is passed over. Whoever announces more means no message. */
const PASSED_OVER_BYTES = 16 * 1024 * 1024;

/** Buffer that a connection keeps between messages. */
const IDLE_BYTES = 4096;
const CR = 0x0d;
const LF = 0x0a;
/** Longest ending of a head, "\n\r\n", less one: how far the next search has to go back. */
const OVERLAP = 2;
const CONTENT_LENGTH = /\n(?:content-length|l)[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)/gi;

export class StreamFramer {
  #buffer = Buffer.allocUnsafe(IDLE_BYTES);
  #start = 0;
  #end = 0;
  /** Where the search for the head's end goes on. */
  #searched = 0;
  /** Total length of the message whose head is complete; 0 while its head is not. */
  #length = 0;
  /** Bytes of an oversize body that are still to come. */
  #passing = 0;
  #broken = false;

  /** `idle` between messages, else which part of one is being received. */
  get phase(): "idle" | "head" | "body" {
    if (this.#start === this.#end && this.#passing === 0) return "idle";
    return this.#length > 0 || this.#passing > 0 ? "body" : "head";
  }

  push(chunk: Uint8Array): Frame[] {
    if (this.#broken) return [];
    this.#append(chunk);
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) {
      frames.push(frame);
      if (frame.type === "broken") {
        this.#broken = true;
        break;
      }
    }
    return frames;
  }

  #append(chunk: Uint8Array): void {
    const held = this.#end - this.#start;
    if (this.#end + chunk.length > this.#buffer.length) {
      const needed = held + chunk.length;
      if (needed * 2 <= this.#buffer.length) this.#buffer.copyWithin(0, this.#start, this.#end);
      else {
        const larger = Buffer.allocUnsafe(needed * 2);
        this.#buffer.copy(larger, 0, this.#start, this.#end);
        this.#buffer = larger;
      }
      this.#searched -= this.#start;
      this.#start = 0;
      this.#end = held;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  #next(): Frame | undefined {
    if (this.#passing > 0) {
      const passed = Math.min(this.#passing, this.#end - this.#start);
      this.#passing -= passed;
      this.#start += passed;
      this.#searched = this.#start;
    }
    if (this.#length === 0) {
      for (let first = this.#buffer[this.#start]; this.#start < this.#end; first = this.#buffer[this.#start]) {
        if (first !== CR && first !== LF) break;
        if (first === CR && this.#end - this.#start === 1) return undefined;
        const crlf = first === CR && this.#buffer[this.#start + 1] === LF;
        this.#start += crlf ? 2 : 1;
        this.#searched = this.#start;
        if (crlf) return { type: "crlf" };
      }
    }
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#start = this.#end = this.#searched = 0;
      if (this.#buffer.length > IDLE_BYTES) this.#buffer = Buffer.allocUnsafe(IDLE_BYTES);
      return undefined;
    }
    if (this.#length === 0) {
      const broken = this.#readHead(held);
      if (broken !== undefined) return broken;
    }
    if (this.#length === 0 || held < this.#length) return undefined;
    // A copy, so that the message may outlive the buffer.
    const bytes = Buffer.from(this.#buffer.subarray(this.#start, this.#start + this.#length));
    this.#start += this.#length;
    this.#searched = this.#start;
    this.#length = 0;
    return { type: "message", bytes };
  }

  #readHead(held: number): Frame | undefined {
    const from = Math.max(this.#start, this.#searched - OVERLAP);
    const headEnd = bodyStart(this.#buffer.subarray(0, this.#end), from);
    this.#searched = this.#end;
    if (headEnd < 0) return held > MAX_MESSAGE_BYTES ? { type: "broken", reason: "too_large" } : undefined;
    const head = Buffer.from(this.#buffer.subarray(this.#start, headEnd));
    if (head.length > MAX_MESSAGE_BYTES) return { type: "broken", reason: "too_large" };
    let length: number | undefined;
    for (const match of head.toString("latin1").matchAll(CONTENT_LENGTH)) {
      const value = (match[1] ?? "").trim();
      const bytes = /^0*\d{1,9}$/.test(value) ? Number(value) : undefined;
      if (bytes === undefined || (length !== undefined && length !== bytes)) {
        return { type: "broken", reason: "bad_content_length", head };
      }
      length = bytes;
    }
    if (length === undefined) return { type: "broken", reason: "no_content_length", head };
    if (length > PASSED_OVER_BYTES) return { type: "broken", reason: "too_large", head };
    if (head.length + length > MAX_MESSAGE_BYTES) {
      this.#start = headEnd;
      this.#searched = headEnd;
      this.#passing = length;
      return { type: "oversize", head };
    }
    this.#length = head.length + length;
    return undefined;
  }
}
