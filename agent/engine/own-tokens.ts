import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Endpoint, Flow, Protocol } from "../sip/transport/flow.ts";

/**
 * The user parts of our own Record-Route, Path and rewritten Contact URIs. A token says by itself where a request that
 * carries it has to leave, so that requests inside a dialog find their way after a restart of the engine, when nothing
 * is remembered (the flow tokens of RFC 5626 §5.2). A keyed hash keeps others from making them up.
 */
export type Side =
  /** A phone: the flow that it sent from. */
  | { readonly kind: "phone"; readonly protocol: Protocol; readonly local: Endpoint; readonly remote: Endpoint }
  | { readonly kind: "trunk"; readonly trunk: string };

export interface OwnToken {
  readonly side: Side;
  /** An id of ours for what the token belongs to: a binding, or one passage of a dialog through the box. */
  readonly leg: string;
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = { u: "udp", t: "tcp", s: "tls" };
const PHONE = /^f\.([a-z0-9]+)\.([uts])\.([0-9a-f_-]+)\.([0-9]{1,5})\.([0-9a-f_-]+)\.([0-9]{1,5})$/;
const TRUNK = /^t\.([a-z0-9]+)\.([a-z0-9-]+)$/;
const MAC_LENGTH = 16;
const CACHE_LIMIT = 8192;

export class OwnTokens {
  readonly #key: Uint8Array;
  /** Tokens seen before, so that the hash is computed once for each. */
  readonly #known = new Map<string, OwnToken>();

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  ofPhone(flow: Pick<Flow, "protocol" | "local" | "remote">, leg: string): string {
    const { protocol, local, remote } = flow;
    const letter = protocol === "udp" ? "u" : protocol === "tcp" ? "t" : "s";
    return this.#seal(
      `f.${leg}.${letter}.${pack(remote.address)}.${remote.port}.${pack(local.address)}.${local.port}`,
      { side: { kind: "phone", protocol, local: { ...local }, remote: { ...remote } }, leg },
    );
  }

  ofTrunk(trunk: string, leg: string): string {
    return this.#seal(`t.${leg}.${trunk}`, { side: { kind: "trunk", trunk }, leg });
  }

  /** Undefined for what is not ours or was tampered with. */
  read(text: string): OwnToken | undefined {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const dot = text.lastIndexOf(".");
    if (dot < 0 || text.length > 200) return undefined;
    const body = text.slice(0, dot);
    const given = Buffer.from(text.slice(dot + 1));
    const right = Buffer.from(this.#mac(body));
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    const token = parse(body);
    if (token !== undefined) this.#remember(text, token);
    return token;
  }

  #seal(body: string, token: OwnToken): string {
    const text = `${body}.${this.#mac(body)}`;
    this.#remember(text, token);
    return text;
  }

  #mac(body: string): string {
    return createHmac("sha256", this.#key).update(body).digest("hex").slice(0, MAC_LENGTH);
  }

  #remember(text: string, token: OwnToken): void {
    if (this.#known.size >= CACHE_LIMIT) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(text, token);
  }
}

function parse(body: string): OwnToken | undefined {
  const phone = PHONE.exec(body);
  if (phone !== null) {
    const [, leg = "", letter = "", remote = "", remotePort = "", local = "", localPort = ""] = phone;
    const protocol = PROTOCOLS[letter];
    if (protocol === undefined) return undefined;
    return {
      leg,
      side: {
        kind: "phone",
        protocol,
        remote: { address: unpack(remote), port: Number(remotePort) },
        local: { address: unpack(local), port: Number(localPort) },
      },
    };
  }
  const trunk = TRUNK.exec(body);
  if (trunk === null) return undefined;
  return { leg: trunk[1] ?? "", side: { kind: "trunk", trunk: trunk[2] ?? "" } };
}

// Dots separate the token's parts and colons may not stand in a user part.
const pack = (address: string) => address.replaceAll(".", "-").replaceAll(":", "_");
const unpack = (text: string) => text.replaceAll("-", ".").replaceAll("_", ":");

/**
 * The key that outlives this process: kept in a file of the run directory, which is a tmpfs, and by `site` beside the
 * bindings whose tokens it seals (`kept`, base64), since the cloud goes on using their Paths after a power cut.
 */
export function loadTokenKey(file: string, kept: string | undefined): Uint8Array {
  try {
    const kept = readFileSync(file);
    if (kept.length === 32) return kept;
  } catch {
    // The first start since the machine booted.
  }
  const before = Buffer.from(kept ?? "", "base64");
  const key = before.length === 32 ? before : randomBytes(32);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, key, { mode: 0o600 });
  } catch {
    // A full tmpfs: tokens hold until the engine restarts, and calls come before that.
  }
  return key;
}
