/** What one port of the lab carries, live: SIP messages and RTP streams with the kernel's time stamps, and a pcap file. */
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import type { Namespace } from "../addresses.ts";
import { type Heard, recognise } from "../audio.ts";
import { Journal } from "../deadline.ts";
import type { Program, Programs } from "../processes.ts";
import { fromMuLaw } from "./mu-law.ts";
import { PacketReader, type Segment } from "./packets.ts";
import { type SeenMessage, SipReader } from "./sip.ts";

/** RTP packets of one direction: arrival times only, in wall-clock milliseconds. */
export interface SeenStream {
  readonly from: string;
  readonly to: string;
  readonly arrivals: number[];
}

/** What is sent to one host, heard on the wire: for judging the sound of a moment, which no recording tells apart. */
export interface Ear {
  /** The known tones in PCMU that arrived between two moments (wall-clock ms). */
  heard(start: number, end: number, tones_hz: readonly number[]): Heard;
  stop(): void;
}

/** The RTP packets sent from one host to another, as they come. */
export interface Tap {
  readonly packets: readonly Segment[];
  stop(): void;
}

const hostOf = (end: string): string => end.slice(0, end.lastIndexOf(":"));

export class Capture {
  readonly name: string;
  readonly messages = new Journal<SeenMessage>();
  readonly #streams = new Map<string, SeenStream>();
  readonly #listeners = new Set<(segment: Segment) => void>();
  readonly #program: Program;

  private constructor(name: string, program: Program) {
    this.name = name;
    this.#program = program;
  }

  static async start(programs: Programs, namespace: Namespace, port: string, directory: string): Promise<Capture> {
    const name = `${namespace}-${port}`;
    const file = createWriteStream(join(directory, `${name}.pcap`));
    let capture: Capture | undefined;
    const sip = new SipReader((message) => capture?.messages.push(message));
    const packets = new PacketReader((segment) => capture?.take(segment, sip));
    const program = programs.start({
      name: `tcpdump-${name}`,
      namespace,
      // Whole packets, handed over one by one; no name look-ups, no change of user. Each takes a slot as large as the
      // largest packet, so that the ordinary room is for eight of them: a burst would be lost.
      argv: [
        ...["tcpdump", "-Z", "root", "-i", port, "-s", "65535", "-B", "16384", "-n", "-U", "--immediate-mode"],
        ...["-w", "-"],
      ],
      onBytes: (bytes) => {
        file.write(bytes);
        packets.feed(bytes);
      },
    });
    capture = new Capture(name, program);
    await program.line(/listening on/, 3000);
    return capture;
  }

  private take(segment: Segment, sip: SipReader): void {
    const first = segment.payload[0] ?? 0;
    if (segment.protocol === "udp" && first >> 6 === 2 && segment.payload.length >= 12) {
      const type = (segment.payload[1] ?? 0) & 127;
      // RFC 5761 §4: 64–95 in this place is RTCP.
      if (type >= 64 && type <= 95) return;
      const key = `${segment.from}>${segment.to}`;
      const stream = this.#streams.get(key) ?? { from: segment.from, to: segment.to, arrivals: [] };
      this.#streams.set(key, stream);
      stream.arrivals.push(segment.at);
      for (const listener of this.#listeners) listener(segment);
      return;
    }
    sip.feed(segment);
  }

  get running(): boolean {
    return this.#program.running;
  }

  /** The next request of a method that arrives for a host (from `from` on in the journal). */
  request(
    what: string,
    deadline_ms: number,
    wanted: { method: string; to?: string; from?: string; where?: (message: SeenMessage) => boolean },
    from = 0,
  ): Promise<SeenMessage> {
    return this.messages.next(
      `${what} (${wanted.method}${wanted.to === undefined ? "" : ` to ${wanted.to}`} on ${this.name})`,
      deadline_ms,
      (message) =>
        message.method === wanted.method &&
        (wanted.to === undefined || hostOf(message.to) === wanted.to) &&
        (wanted.from === undefined || hostOf(message.from) === wanted.from) &&
        (wanted.where?.(message) ?? true),
      from,
    );
  }

  /** Listens to what is sent from one host (undefined: from any) to another, from now on. */
  listen(from: string | undefined, to: string): Ear {
    const packets: Segment[] = [];
    const listener = (segment: Segment) => {
      const pcmu = ((segment.payload[1] ?? 0) & 127) === 0;
      if (pcmu && (from === undefined || hostOf(segment.from) === from) && hostOf(segment.to) === to)
        packets.push(segment);
    };
    this.#listeners.add(listener);
    return {
      heard: (start, end, tones_hz) => {
        const inTime = packets.filter(({ at }) => at >= start && at < end).map(({ payload }) => payload.subarray(12));
        return recognise({ sample_rate: 8000, samples: fromMuLaw(Buffer.concat(inTime)) }, tones_hz);
      },
      stop: () => void this.#listeners.delete(listener),
    };
  }

  /** Keeps the RTP packets from one host to another, from now on. */
  tap(from: string, to: string): Tap {
    const packets: Segment[] = [];
    const listener = (segment: Segment) => {
      if ((from === undefined || hostOf(segment.from) === from) && hostOf(segment.to) === to) packets.push(segment);
    };
    this.#listeners.add(listener);
    return { packets, stop: () => void this.#listeners.delete(listener) };
  }

  /** RTP that flowed from one host to another. */
  streams(from: string, to: string): SeenStream[] {
    return [...this.#streams.values()].filter(
      (stream) => hostOf(stream.from) === from && hostOf(stream.to) === to && stream.arrivals.length > 0,
    );
  }

  /** Longest time without an RTP packet from one host to another between two moments, in ms, the edges included. */
  longestSilence(from: string, to: string, start: number, end: number): number {
    const arrivals = this.streams(from, to)
      .flatMap((stream) => stream.arrivals)
      .filter((at) => at >= start && at <= end)
      .sort((a, b) => a - b);
    let longest = 0;
    let last = start;
    for (const at of [...arrivals, end]) {
      longest = Math.max(longest, at - last);
      last = at;
    }
    return longest;
  }
}
