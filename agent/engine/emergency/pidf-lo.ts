import { createHash } from "node:crypto";
import type { CivicAddress, Location } from "../../base/config/schema.ts";

/** What one PIDF-LO says: whose device it is, where it stands, and since when that is known. */
export interface PidfLo {
  /** Presentity: the caller's SIP URI. */
  readonly entity: string;
  /** Names the device inside the document; any text. */
  readonly device: string;
  /** `+sip.instance` when it is a URN, for `deviceID`. */
  readonly instance: string | undefined;
  readonly location: Location;
  readonly wall_ms: number;
}

/** Order of RFC 5139 §4 (an xs:sequence: validating services refuse any other). */
const CIVIC_ORDER = [
  "country",
  "A1",
  "A2",
  "A3",
  "PRD",
  "RD",
  "STS",
  "POD",
  "HNO",
  "HNS",
  "LMK",
  "LOC",
  "FLR",
  "NAM",
  "PC",
  "BLD",
  "UNIT",
  "ROOM",
  "SEAT",
  "PLC",
] as const satisfies readonly (keyof CivicAddress)[];

/**
 * A PIDF-LO (RFC 4119) with one civic address (RFC 5139) of one `dm:device`, as RFC 5491 §3 prefers. `usage-rules` is
 * there as RFC 4119 demands; retransmission is allowed, because an emergency call is handed on.
 */
export function printPidfLo({ entity, device, instance, location, wall_ms }: PidfLo): string {
  const civic = CIVIC_ORDER.flatMap((name) => {
    const value = location.civic[name];
    return value === undefined || value === "" ? [] : [`     <ca:${name}>${escapeXml(value)}</ca:${name}>`];
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<presence xmlns="urn:ietf:params:xml:ns:pidf"',
    ' xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"',
    ' xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"',
    ' xmlns:bp="urn:ietf:params:xml:ns:pidf:geopriv10:basicPolicy"',
    ' xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr"',
    ` entity="${escapeXml(entity)}">`,
    ` <dm:device id="${xmlId(device)}">`,
    "  <gp:geopriv>",
    "   <gp:location-info>",
    '    <ca:civicAddress xml:lang="en">',
    ...civic,
    "    </ca:civicAddress>",
    "   </gp:location-info>",
    "   <gp:usage-rules>",
    "    <bp:retransmission-allowed>yes</bp:retransmission-allowed>",
    "   </gp:usage-rules>",
    "  </gp:geopriv>",
    `  <dm:deviceID>${escapeXml(deviceUrn(device, instance))}</dm:deviceID>`,
    `  <dm:timestamp>${new Date(wall_ms).toISOString().replace(/\.\d+Z$/, "Z")}</dm:timestamp>`,
    " </dm:device>",
    "</presence>",
    "",
  ].join("\r\n");
}

/** A Content-ID without brackets: `cid:` URIs (RFC 2392) hold it as it is, so only plain characters are used. */
export function contentId(location: Location, host: string): string {
  const safeHost = host.replace(/[^A-Za-z0-9.-]/g, "-");
  return `${location.id}.v${location.version}@${safeHost}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 has no way to write these characters
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(NOT_XML, "")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;");
}

/** xs:ID: starts with a letter and has no other characters than these. */
function xmlId(text: string): string {
  return `d-${text.replace(/[^A-Za-z0-9_.-]/g, "-")}`;
}

/** RFC 4479 wants a URI for the device; one that has none of its own gets a name-based UUID (RFC 9562 §5.5). */
function deviceUrn(device: string, instance: string | undefined): string {
  if (instance !== undefined && /^urn:[a-z0-9][a-z0-9-]{1,31}:\S+$/i.test(instance)) return instance;
  const hash = createHash("sha1").update("holdfast device ").update(device).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  const uuid = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
  return `urn:uuid:${uuid}`;
}
