import sdpTransform, { type ParsedMedia, type ParsedSession } from "sdp-transform";
import { parseDecimal } from "./syntax.ts";

export type Direction = "sendrecv" | "sendonly" | "recvonly" | "inactive";

/** One m= section (RFC 8866 §5.14) as seen by who has to send media to it. */
export interface SdpMedia {
  /** "audio", "video", "image", … */
  readonly type: string;
  /** 0: refused or disabled (RFC 3264 §6). */
  readonly port: number;
  /** "RTP/AVP", "RTP/SAVP", "udptl", … */
  readonly protocol: string;
  /** Payload types in the order of preference. */
  readonly formats: readonly string[];
  /** From the section's own c= line, else the session's; undefined when neither is there. Without a multicast TTL. */
  readonly address?: string;
  /** a=rtcp (RFC 3605): where RTCP goes when that is not port + 1. */
  readonly rtcp?: { readonly port: number; readonly address?: string };
  readonly rtcpMux: boolean;
  readonly direction: Direction;
  /** On hold: a=inactive, or the unspecified address (RFC 3264 §8.4). `sendonly` alone shows in `direction`. */
  readonly held: boolean;
  /** a=rtpmap lines; static payload types may have none. */
  readonly codecs: readonly {
    readonly payload: number;
    readonly name: string;
    readonly rate?: number;
    readonly channels?: number;
  }[];
  readonly fmtp: readonly { readonly payload: number; readonly config: string }[];
  readonly ptime_ms?: number;
  /** SRTP keyed in the SDP (RFC 4568) or by DTLS (RFC 5764). */
  readonly encrypted: boolean;
  /** a=crypto without its tag (RFC 4568 §9.1) and a=fingerprint (RFC 8122 §5), the session's where there is none of its own. */
  readonly keys: readonly string[];
  /** a=candidate lines are there (RFC 8839). */
  readonly ice: boolean;
}

export interface Sdp {
  readonly origin?: {
    readonly username: string;
    readonly sessionId: string;
    readonly sessionVersion: string;
    readonly address: string;
  };
  readonly name: string;
  readonly media: readonly SdpMedia[];
}

/**
 * Where media is to go instead: an IP address (its family is told by its form), RTP port, RTCP port (default + 1, or the
 * RTP port itself where the description named that).
 */
export interface MediaTarget {
  readonly address: string;
  readonly port: number;
  readonly rtcpPort?: number;
}

/** A line with its own line break, so that what is not edited stays byte for byte. */
interface Line {
  text: string;
  readonly lineBreak: string;
}

interface Section {
  readonly lines: Line[];
  /** Undefined for the session's part. */
  readonly media?: {
    readonly type: string;
    readonly port: number;
    readonly protocol: string;
    readonly formats: string[];
  };
}

// An m= line that cannot be read still opens a section, for sections answer one another by number (RFC 3264 §6).
const MEDIA = /^m=([^ ]*)(?: +([0-9]{1,5})(?:\/[0-9]+)?)?(?: +([^ ]+))?(?: +([\s\S]*))?$/;
const CONNECTION = /^c=IN +IP[46] +([^ /]+)/i;
const RTCP = /^a=rtcp:([0-9]+)(?: +IN +IP[46] +([^ ]+))?/i;

function sections(text: string): [Section, ...Section[]] {
  const session: Section = { lines: [] };
  const all: [Section, ...Section[]] = [session];
  let current = session;
  const pieces = text.split(/(\r\n|\r|\n)/);
  for (let i = 0; i < pieces.length; i += 2) {
    const line: Line = { text: pieces[i] ?? "", lineBreak: pieces[i + 1] ?? "" };
    if (line.text.startsWith("m=")) {
      const match = MEDIA.exec(line.text);
      const port = parseDecimal(match?.[2] ?? "", 65535) ?? 0;
      const formats = (match?.[4] ?? "").split(" ").filter((format) => format !== "");
      current = { lines: [], media: { type: match?.[1] ?? "", port, protocol: match?.[3] ?? "", formats } };
      all.push(current);
    }
    current.lines.push(line);
  }
  return all;
}

function firstMatch(section: Section | undefined, pattern: RegExp): RegExpExecArray | undefined {
  for (const { text } of section?.lines ?? []) {
    const match = pattern.exec(text);
    if (match !== null) return match;
  }
  return undefined;
}

function text(field: string | number | undefined): string {
  return field === undefined ? "" : String(field);
}

/** Reads a description for looking at. Never throws; what cannot be read is left out. */
export function readSdp(sdp: string): Sdp {
  const parsed = sdpTransform.parse(sdp);
  const [session, ...media] = sections(sdp);
  const sessionAddress = firstMatch(session, CONNECTION)?.[1];
  const { origin } = parsed;
  const name = text(parsed.name);
  const out = {
    name,
    media: media.map((section, i) => readMedia(section, parsed.media[i], parsed, session, sessionAddress)),
  };
  if (origin === undefined) return out;
  return {
    ...out,
    origin: {
      username: text(origin.username),
      sessionId: text(origin.sessionId),
      sessionVersion: text(origin.sessionVersion),
      address: text(origin.address),
    },
  };
}

const NOTHING: ParsedMedia = { rtp: [], fmtp: [] };

function readMedia(
  { lines, media }: Section,
  parsed: ParsedMedia = NOTHING,
  session: ParsedSession,
  sessionSection: Section,
  sessionAddress: string | undefined,
): SdpMedia {
  const own = keysOf(lines);
  const address = firstMatch({ lines }, CONNECTION)?.[1] ?? sessionAddress;
  const rtcp = firstMatch({ lines }, RTCP);
  const rtcpPort = parseDecimal(rtcp?.[1] ?? "", 65535);
  const direction = toDirection(parsed.direction ?? session.direction);
  const ptime = Number(parsed.ptime);
  const secureProfile = /\bSAVPF?\b/i.test(media?.protocol ?? "");
  return {
    type: media?.type ?? "",
    port: media?.port ?? 0,
    protocol: media?.protocol ?? "",
    formats: media?.formats ?? [],
    ...(address === undefined ? {} : { address }),
    ...(rtcpPort === undefined
      ? {}
      : { rtcp: rtcp?.[2] === undefined ? { port: rtcpPort } : { port: rtcpPort, address: rtcp[2] } }),
    rtcpMux: parsed.rtcpMux !== undefined,
    direction,
    held: direction === "inactive" || (address !== undefined && isUnspecified(address)),
    codecs: parsed.rtp.map(({ payload, codec, rate, encoding }) => ({
      payload: Number(payload),
      name: text(codec),
      ...(rate === undefined ? {} : { rate: Number(rate) }),
      ...(encoding === undefined ? {} : { channels: Number(encoding) }),
    })),
    fmtp: parsed.fmtp.map(({ payload, config }) => ({ payload: Number(payload), config: text(config) })),
    ...(ptime > 0 ? { ptime_ms: ptime } : {}),
    encrypted:
      secureProfile || parsed.crypto !== undefined || (parsed.fingerprint ?? session.fingerprint) !== undefined,
    keys: own.length > 0 ? own : keysOf(sessionSection.lines),
    ice: parsed.candidates !== undefined,
  };
}

function keysOf(lines: readonly Line[]): string[] {
  return lines.flatMap(({ text }) => /^a=(?:crypto:[0-9]+ +|fingerprint:)(.*)$/i.exec(text)?.[1] ?? []);
}

function toDirection(value: string | number | undefined): Direction {
  return value === "sendonly" || value === "recvonly" || value === "inactive" ? value : "sendrecv";
}

/** 0.0.0.0 and :: in any writing: "send me nothing". */
function isUnspecified(address: string): boolean {
  return /^[0.]+$/.test(address) || (address.includes(":") && /^[0:.]+$/.test(address));
}

/**
 * Points media somewhere else: `targets[i]` for the i-th m= section, undefined to leave it. Only the port of m=, the
 * address of c= and a=rtcp (of o= where the IP family changes) and the ICE candidates change, in place; every other byte
 * stays. A section with port 0 is left
 * alone, and an unspecified address stays, for both say "no media". A section that used the session's c= gets its own
 * line when not all of them go to one address.
 *
 * Interactive Connectivity Establishment would lead past the new target. Where the relay passes its checks (STUN) on
 * (`relayed`), one candidate for each component is left, a host candidate at the target: the check reaches the peer, whose
 * credentials those are, and the default destination is among the candidates (RFC 8839 §4.2.5). Else (`removed`) the
 * description says nothing of it, so that nobody waits for checks in vain.
 */
export function editSdp(
  sdp: string,
  targets: readonly (MediaTarget | undefined)[],
  ice: "relayed" | "removed" = "removed",
): string {
  const all = sections(sdp);
  const [session, ...media] = all;
  const sessionAddress = firstMatch(session, CONNECTION)?.[1];
  const sharing = new Set<string | undefined>();
  media.forEach((section, i) => {
    const disabled = section.media?.port === 0;
    if (!disabled && firstMatch(section, CONNECTION) === undefined) sharing.add(targets[i]?.address);
  });
  const [shared] = sharing;
  const moveSession = sessionAddress !== undefined && sharing.size === 1 && shared !== undefined;
  if (moveSession) moveConnections(session, shared);
  media.forEach((section, i) => {
    const target = targets[i];
    if (target === undefined || section.media === undefined || section.media.port === 0) return;
    moveMedia(section, target);
    if (ice === "relayed") moveCandidates(section, target);
    else removeIce(section);
    if (firstMatch(section, CONNECTION) !== undefined) moveConnections(section, target.address);
    else if (!moveSession && !(sessionAddress !== undefined && isUnspecified(sessionAddress))) {
      insertConnection(section, target.address);
    }
  });
  const moved = media.flatMap(({ media: line }, i) => {
    const address = targets[i]?.address;
    return line?.port === 0 || address === undefined ? [] : [address];
  });
  if (moved[0] !== undefined) moveOrigin(session, moved[0]);
  if (ice === "removed" && media.some(({ media: line }, i) => line?.port !== 0 && targets[i] !== undefined)) {
    removeIce(session);
  }
  return all.flatMap((section) => section.lines.map((line) => line.text + line.lineBreak)).join("");
}

function addressType(address: string): string {
  return address.includes(":") ? "IP6" : "IP4";
}

function moveConnections(section: Section, address: string): void {
  for (const line of section.lines) {
    const old = CONNECTION.exec(line.text)?.[1];
    if (old !== undefined && !isUnspecified(old)) line.text = `c=IN ${addressType(address)} ${address}`;
  }
}

const ORIGIN = /^(o=[^ ]+ [^ ]+ [^ ]+ IN )(IP[46]) [^ ]+/i;

/**
 * The origin only names a session (RFC 8866 §5.2) and stays as it is, unless it is of the other IP family: there are
 * phones that judge by it whether they can speak with the other side at all, and refuse the call with 488.
 */
function moveOrigin(session: Section, address: string): void {
  for (const line of session.lines) {
    const family = ORIGIN.exec(line.text)?.[2]?.toUpperCase();
    if (family !== undefined && family !== addressType(address)) {
      line.text = line.text.replace(ORIGIN, `$1${addressType(address)} ${address}`);
    }
  }
}

function moveMedia(section: Section, target: MediaTarget): void {
  for (const line of section.lines) {
    if (line.text.startsWith("m=")) line.text = line.text.replace(/^(m=[^ ]* +)[0-9]+/, `$1${target.port}`);
    const rtcp = RTCP.exec(line.text);
    if (rtcp === null) continue;
    const port = target.rtcpPort ?? (rtcp[1] === String(section.media?.port) ? target.port : target.port + 1);
    const keepsAddress = rtcp[2] === undefined || isUnspecified(rtcp[2]);
    const rest = line.text.slice(rtcp[0].length);
    const address = keepsAddress
      ? rtcp[0].slice(`a=rtcp:${rtcp[1]}`.length)
      : ` IN ${addressType(target.address)} ${target.address}`;
    line.text = `${line.text.slice(0, 7)}${port}${address}${rest}`;
  }
}

/** With nothing but these payload types in each m= section; undefined leaves it. Lines that describe others go too. */
export function keepFormats(sdp: string, wanted: readonly (readonly string[] | undefined)[]): string {
  const all = sections(sdp);
  all.slice(1).forEach((section, i) => {
    const formats = wanted[i];
    if (formats === undefined || section.media === undefined || section.media.port === 0) return;
    const kept = section.media.formats.filter((format) => formats.includes(format));
    if (kept.length === 0) return;
    keepLines(section, ({ text }) => {
      const format = /^a=(?:rtpmap|fmtp|rtcp-fb):([0-9]+) /.exec(text)?.[1];
      return format === undefined || formats.includes(format);
    });
    const [line] = section.lines;
    if (line !== undefined) line.text = line.text.replace(/^(m=[^ ]* +[^ ]+ +[^ ]+) .*$/, `$1 ${kept.join(" ")}`);
  });
  return all.flatMap((section) => section.lines.map((line) => line.text + line.lineBreak)).join("");
}

const ICE = /^a=(?:candidate|remote-candidates|end-of-candidates|ice-[a-z0-9]+)(?::|$)/i;

function removeIce(section: Section): void {
  keepLines(section, ({ text }) => !ICE.test(text));
}

function keepLines({ lines }: Section, wanted: (line: Line) => boolean): void {
  lines.splice(0, lines.length, ...lines.filter(wanted));
}

/** A candidate that goes by UDP (§5.1): up to its address; from `typ` on. */
const CANDIDATE = /^(a=candidate:[^ ]+ +([0-9]+) +udp +[0-9]+ +)[^ ]+ +[0-9]+( +typ +)[^ ]+(.*)$/i;

function moveCandidates(section: Section, target: MediaTarget): void {
  const components = new Set<string>();
  keepLines(section, (line) => {
    // They name addresses of this side (§5.2); the answerer finds its own among those that it has checked.
    if (/^a=remote-candidates:/i.test(line.text)) return false;
    if (!/^a=candidate:/i.test(line.text)) return true;
    const candidate = CANDIDATE.exec(line.text);
    const [, before = "", component = "", type = "", rest = ""] = candidate ?? [];
    if (candidate === null || components.has(component)) return false;
    components.add(component);
    const port = component === "1" ? target.port : (target.rtcpPort ?? target.port + 1);
    line.text = `${before}${target.address} ${port}${type}host${rest.replace(/ +(?:raddr|rport) +[^ ]+/gi, "")}`;
    return true;
  });
}

/** c= stands after m= and i= (RFC 8866 §5). */
function insertConnection(section: Section, address: string): void {
  let at = 1;
  while (section.lines[at]?.text.startsWith("i=")) at++;
  const before = section.lines[at - 1];
  if (before === undefined) return;
  const lineBreak = before.lineBreak === "" ? "\r\n" : before.lineBreak;
  if (before.lineBreak === "") section.lines[at - 1] = { text: before.text, lineBreak };
  section.lines.splice(at, 0, { text: `c=IN ${addressType(address)} ${address}`, lineBreak });
}

export { sdpOf, withSdp } from "./sdp-body.ts";
