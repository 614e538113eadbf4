/** From pcap bytes to UDP datagrams and TCP streams (IPv4 over Ethernet), as they arrive. Bad bytes are skipped. */

export interface Segment {
  /** Wall-clock milliseconds, from the kernel's time stamp. */
  readonly at: number;
  readonly protocol: "udp" | "tcp";
  /** `address:port` */
  readonly from: string;
  readonly to: string;
  readonly payload: Buffer;
}

interface Fragments {
  readonly parts: Map<number, Buffer>;
  total: number | undefined;
}

interface Stream {
  next: number | undefined;
  readonly early: Map<number, Buffer>;
}

const MICROSECONDS = 0xa1b2c3d4;

/** Feeds on a pcap stream in pieces of any size; hands out datagrams whole and TCP payload in order. */
export class PacketReader {
  readonly #emit: (segment: Segment) => void;
  readonly #fragments = new Map<string, Fragments>();
  readonly #streams = new Map<string, Stream>();
  #rest: Buffer = Buffer.alloc(0);
  #started = false;

  constructor(emit: (segment: Segment) => void) {
    this.#emit = emit;
  }

  feed(bytes: Buffer): void {
    let data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    if (!this.#started) {
      if (data.length < 24) {
        this.#rest = data;
        return;
      }
      if (data.readUInt32LE(0) !== MICROSECONDS) throw new Error("not a little-endian microsecond pcap");
      this.#started = true;
      data = data.subarray(24);
    }
    let at = 0;
    while (data.length - at >= 16) {
      const length = data.readUInt32LE(at + 8);
      if (data.length - at - 16 < length) break;
      const time = data.readUInt32LE(at) * 1000 + data.readUInt32LE(at + 4) / 1000;
      this.#frame(time, data.subarray(at + 16, at + 16 + length));
      at += 16 + length;
    }
    this.#rest = Buffer.from(data.subarray(at));
  }

  #frame(at: number, frame: Buffer): void {
    if (frame.length < 34 || frame.readUInt16BE(12) !== 0x0800) return;
    const ip = frame.subarray(14);
    const headerLength = ((ip[0] ?? 0) & 15) * 4;
    const total = ip.readUInt16BE(2);
    if (headerLength < 20 || total < headerLength || total > ip.length) return;
    const protocol = ip[9] ?? 0;
    const source = addressAt(ip, 12);
    const destination = addressAt(ip, 16);
    const body = this.#reassemble(ip, ip.subarray(headerLength, total), `${source}>${destination}`);
    if (body === undefined) return;
    if (protocol === 17 && body.length >= 8) {
      const from = `${source}:${body.readUInt16BE(0)}`;
      const to = `${destination}:${body.readUInt16BE(2)}`;
      this.#emit({ at, protocol: "udp", from, to, payload: Buffer.from(body.subarray(8)) });
    } else if (protocol === 6 && body.length >= 20) {
      const from = `${source}:${body.readUInt16BE(0)}`;
      this.#tcp(at, from, `${destination}:${body.readUInt16BE(2)}`, body);
    }
  }

  /** RFC 791 fragments; a 911 INVITE with its PIDF-LO over UDP is often more than one. */
  #reassemble(ip: Buffer, body: Buffer, ends: string): Buffer | undefined {
    const field = ip.readUInt16BE(6);
    const more = (field & 0x2000) !== 0;
    const offset = (field & 0x1fff) * 8;
    if (!more && offset === 0) return body;
    const key = `${ends}#${ip.readUInt16BE(4)}`;
    const held = this.#fragments.get(key) ?? { parts: new Map<number, Buffer>(), total: undefined };
    this.#fragments.set(key, held);
    held.parts.set(offset, Buffer.from(body));
    if (!more) held.total = offset + body.length;
    if (held.total === undefined) return undefined;
    const whole: Buffer[] = [];
    let next = 0;
    while (next < held.total) {
      const part = held.parts.get(next);
      if (part === undefined) return undefined;
      whole.push(part);
      next += part.length;
    }
    this.#fragments.delete(key);
    return Buffer.concat(whole);
  }

  #tcp(at: number, from: string, to: string, segment: Buffer): void {
    const key = `${from}>${to}`;
    const sequence = segment.readUInt32BE(4);
    const flags = segment[13] ?? 0;
    const payload = segment.subarray(((segment[12] ?? 0) >> 4) * 4);
    if ((flags & 0x02) !== 0) {
      this.#streams.set(key, { next: (sequence + 1) >>> 0, early: new Map() });
      return;
    }
    if (payload.length === 0) return;
    const stream = this.#streams.get(key) ?? { next: undefined, early: new Map<number, Buffer>() };
    this.#streams.set(key, stream);
    stream.next ??= sequence;
    stream.early.set(sequence, Buffer.from(payload));
    for (;;) {
      const wanted: number = stream.next;
      const ready = [...stream.early].find(([start, part]) => {
        const ahead = (wanted - start) >>> 0;
        return ahead < part.length;
      });
      if (ready === undefined) break;
      const [start, part] = ready;
      stream.early.delete(start);
      const fresh = part.subarray((wanted - start) >>> 0);
      stream.next = (wanted + fresh.length) >>> 0;
      this.#emit({ at, protocol: "tcp", from, to, payload: fresh });
    }
    // Retransmissions of what was read already.
    for (const [start, part] of stream.early) {
      if (((stream.next - start - part.length) | 0) >= 0) stream.early.delete(start);
    }
  }
}

const addressAt = (ip: Buffer, at: number): string => `${ip[at]}.${ip[at + 1]}.${ip[at + 2]}.${ip[at + 3]}`;
