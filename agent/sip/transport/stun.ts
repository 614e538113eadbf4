import type { Endpoint } from "./flow.ts";
import { canonicalAddress } from "./ip-address.ts";

/**
 * The part of STUN (RFC 8489) that keeps a SIP flow over UDP alive (RFC 5626 §4.4.2, §8): Binding requests on the SIP
 * port, without authentication, and their answers.
 */
const COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
/** Nobody's keep-alive is longer, and what is longer is not looked at. */
const LONGEST_BYTES = 548;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const BINDING_ERROR = 0x0111;
const MAPPED_ADDRESS = 0x0001;
const ERROR_CODE = 0x0009;
const UNKNOWN_ATTRIBUTES = 0x000a;
const XOR_MAPPED_ADDRESS = 0x0020;
/** Comprehension-required attributes that may stand in a request and change nothing here: USERNAME, MESSAGE-INTEGRITY. */
const HARMLESS: ReadonlySet<number> = new Set([0x0006, 0x0008]);
const OPTIONAL_FROM = 0x8000;
const UNKNOWN_MAX = 8;

export const TRANSACTION_BYTES = 12;

export interface StunMessage {
  readonly type: "request" | "success" | "error";
  /** 96 bits, hexadecimal. */
  readonly transaction: string;
  /** Of a success: our address and port as the peer sees them. */
  readonly mapped: Endpoint | undefined;
  /** Of a request: attributes that must be understood and are not. */
  readonly unknown: readonly number[];
}

/** RFC 7983 §7: what begins with 0 … 3 on a SIP port is STUN or nothing; no SIP message does. */
export function looksLikeStun(bytes: Uint8Array): boolean {
  const [first] = bytes;
  return first !== undefined && first <= 3 && bytes.length >= HEADER_BYTES;
}

/** Undefined for anything but a well-formed Binding request or answer. Never throws. */
export function parseStun(bytes: Uint8Array): StunMessage | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < HEADER_BYTES || view.length > LONGEST_BYTES || view.length % 4 !== 0) return undefined;
  if (view.readUInt32BE(4) !== COOKIE || view.readUInt16BE(2) !== view.length - HEADER_BYTES) return undefined;
  const type = typeOf(view.readUInt16BE(0));
  if (type === undefined) return undefined;
  const transaction = view.toString("hex", 8, HEADER_BYTES);
  let mapped: Endpoint | undefined;
  let plain: Endpoint | undefined;
  const unknown: number[] = [];
  for (let at = HEADER_BYTES; at < view.length; ) {
    const attribute = view.readUInt16BE(at);
    const length = view.readUInt16BE(at + 2);
    const value = view.subarray(at + 4, at + 4 + length);
    if (value.length !== length) return undefined;
    if (attribute === XOR_MAPPED_ADDRESS) mapped ??= readAddress(value, view.subarray(4, HEADER_BYTES));
    else if (attribute === MAPPED_ADDRESS) plain ??= readAddress(value, undefined);
    else if (attribute < OPTIONAL_FROM && !HARMLESS.has(attribute) && unknown.length < UNKNOWN_MAX)
      unknown.push(attribute);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return { type, transaction, mapped: type === "success" ? (mapped ?? plain) : undefined, unknown };
}

/** @param transaction {@link TRANSACTION_BYTES} bytes nobody can guess, hexadecimal. */
export function bindingRequest(transaction: string): Uint8Array {
  return message(BINDING_REQUEST, transaction, Buffer.alloc(0));
}

/** The answer to a Binding request that came from there. Undefined for what is not one. */
export function answerBinding(request: StunMessage, source: Endpoint): Uint8Array | undefined {
  if (request.type !== "request") return undefined;
  const { transaction, unknown } = request;
  if (unknown.length > 0) {
    // RFC 8489 §6.3.1: 420, naming what was not understood.
    const code = Buffer.from([0, 0, 4, 20]);
    const named = Buffer.alloc(unknown.length * 2);
    unknown.forEach((type, i) => {
      named.writeUInt16BE(type, 2 * i);
    });
    return message(
      BINDING_ERROR,
      transaction,
      Buffer.concat([attribute(ERROR_CODE, code), attribute(UNKNOWN_ATTRIBUTES, named)]),
    );
  }
  const address = octets(source.address);
  if (address === undefined) return undefined;
  const mask = Buffer.concat([Buffer.from([0x21, 0x12, 0xa4, 0x42]), Buffer.from(transaction, "hex")]);
  const value = Buffer.alloc(4 + address.length);
  value.writeUInt8(address.length === 4 ? 1 : 2, 1);
  value.writeUInt16BE(source.port ^ (COOKIE >>> 16), 2);
  address.forEach((octet, i) => {
    value.writeUInt8(octet ^ (mask[i] ?? 0), 4 + i);
  });
  return message(BINDING_SUCCESS, transaction, attribute(XOR_MAPPED_ADDRESS, value));
}

function typeOf(type: number): StunMessage["type"] | undefined {
  if (type === BINDING_REQUEST) return "request";
  if (type === BINDING_SUCCESS) return "success";
  return type === BINDING_ERROR ? "error" : undefined;
}

function message(type: number, transaction: string, attributes: Buffer): Uint8Array {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(attributes.length, 2);
  head.writeUInt32BE(COOKIE, 4);
  head.write(transaction, 8, TRANSACTION_BYTES, "hex");
  return Buffer.concat([head, attributes]);
}

function attribute(type: number, value: Buffer): Buffer {
  const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  padded.writeUInt16BE(type, 0);
  padded.writeUInt16BE(value.length, 2);
  value.copy(padded, 4);
  return padded;
}

/** `mask`: magic cookie and transaction, for an address that is xored with them. */
function readAddress(value: Buffer, mask: Buffer | undefined): Endpoint | undefined {
  if (value.length < 4) return undefined;
  const size = value[1] === 1 ? 4 : value[1] === 2 ? 16 : 0;
  if (size === 0 || value.length !== 4 + size) return undefined;
  const port = value.readUInt16BE(2) ^ (mask === undefined ? 0 : COOKIE >>> 16);
  const bytes = Buffer.from(value.subarray(4)).map((octet, i) => octet ^ (mask?.[i] ?? 0));
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  const address = canonicalAddress(size === 4 ? [...bytes].join(".") : groups.join(":"));
  return address === undefined ? undefined : { address, port };
}

/** The bytes of an address in canonical form; undefined when it is none. */
function octets(address: string): number[] | undefined {
  if (!address.includes(":")) {
    const parts = address.split(".").map(Number);
    return parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255)
      ? parts
      : undefined;
  }
  const [head = "", tail] = (address.split("%", 1)[0] ?? "").split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = groups(tail ?? "");
  const all = [...left, ...Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right];
  return all.length === 8 && all.every((group) => group >= 0 && group <= 0xffff)
    ? all.flatMap((group) => [group >> 8, group & 255])
    : undefined;
}
