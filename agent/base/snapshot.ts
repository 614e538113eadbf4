import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { CertificateBundle } from "./certificates.ts";
import type { SiteConfig } from "./config/schema.ts";
import type { Trust } from "./events.ts";

/** One registered contact as RFC 3261 §10 keeps it. Lives in the engine, copied to `site`, given back at boot. */
export interface Binding {
  readonly aor: string;
  /** The Contact URI as the phone wrote it. */
  readonly contact: string;
  /** Contact parameters as text, `expires` excluded (`+sip.instance`, `reg-id`, `q`). */
  readonly contact_params: string;
  readonly call_id: string;
  readonly cseq: number;
  /** Wall ms at which it lapses. */
  readonly expires_wall: number;
  /** The flow it came over: answers and calls go back there. */
  readonly transport: "udp" | "tcp" | "tls";
  readonly source_address: string;
  readonly source_port: number;
  readonly local_address: string;
  readonly local_port: number;
  readonly instance: string | undefined;
  readonly user_agent: string;
  readonly trust: Trust;
  /** Wall ms when the cloud last accepted it; undefined when it never did. */
  readonly cloud_accepted_wall: number | undefined;
  /** The PBX target that did. */
  readonly cloud_target?: string | undefined;
  /** The digest algorithm that it last answered a challenge with, here or at the cloud. */
  readonly proved_with?: string | undefined;
  /** Wall ms since when the box alone vouches for it; undefined while the cloud does. */
  readonly held_since_wall?: number | undefined;
  /** Id in our Path or rewritten contact. */
  readonly flow_token: string;
}

/** Who called 911 from where; a return call must reach that phone. */
export interface CallbackEntry {
  readonly call_id: string;
  readonly extension: string | undefined;
  readonly aor: string | undefined;
  readonly presented_number: string;
  readonly trunk: string;
  readonly started_wall: number;
  readonly until_wall: number;
}

/** What DNS last said of a name on one path; `records` is JSON, checked by whoever reads it. */
export interface KnownName {
  readonly name: string;
  readonly type: "NAPTR" | "SRV" | "A" | "AAAA";
  readonly learned_wall: number;
  readonly records: string;
}

/** What a PBX, or a trunk's carrier, said when a running call was to be moved to another path. */
export interface MovePermission {
  readonly trunk: string;
  /** A re-INVITE over the other path, or a new dialog in the old one's place (Replaces, RFC 3891). */
  readonly rung: "reinvite" | "replaces";
  readonly outcome: "permitted" | "refused" | "no_answer";
  /** The final response's status; absent when none came. */
  readonly status?: number;
  readonly at_wall: number;
}

/** Everything the engine needs to start without asking anybody. */
export interface Snapshot {
  readonly v: 1;
  readonly written_wall: number;
  readonly practice: boolean;
  readonly config_hash: string;
  readonly config: SiteConfig;
  readonly bindings: readonly Binding[];
  readonly callbacks: readonly CallbackEntry[];
  /** The PEM files that the site file names, so that the engine needs no disk; private keys make this file a secret. */
  readonly certificates?: CertificateBundle;
  /** Learned p99 of INVITE to first response, by trunk id, ms. */
  readonly first_response_p99_ms: Readonly<Record<string, number>>;
  /** By which wall time the bindings' own were written; the clock may have been set between that and `written_wall`. */
  readonly bindings_wall?: number | undefined;
  /** What the engine seals its flow tokens with, base64: the cloud's Paths outlive a power cut by it. */
  readonly token_key?: string | undefined;
  /** Names by path id, so that a start with dead name servers finds the PBX and the trunks. Missing in old snapshots. */
  readonly names?: Readonly<Record<string, readonly KnownName[]>>;
  /** Learned by moving calls; absent in snapshots of releases that did not. */
  readonly call_moves?: readonly MovePermission[];
}

export function configHash(config: SiteConfig): string {
  return createHash("sha256").update(JSON.stringify(config)).digest("hex").slice(0, 16);
}

/** First line: sha256 of the second, which is the snapshot as JSON. */
export function encodeSnapshot(snapshot: Snapshot): string {
  const json = JSON.stringify(snapshot);
  return `${createHash("sha256").update(json).digest("hex")}\n${json}\n`;
}

/** The snapshot, or why there is none. A damaged file is never half believed. */
export function decodeSnapshot(text: string): { snapshot: Snapshot } | { broken: string } {
  const [sum, json] = text.split("\n");
  if (sum === undefined || json === undefined || json === "") return { broken: "truncated" };
  if (createHash("sha256").update(json).digest("hex") !== sum) return { broken: "checksum does not match" };
  try {
    const snapshot = JSON.parse(json) as Snapshot;
    if (snapshot.v !== 1) return { broken: `unknown version ${String(snapshot.v)}` };
    return { snapshot };
  } catch (error) {
    return { broken: error instanceof Error ? error.message : "not JSON" };
  }
}

/** For `site` only: writes beside, syncs, renames over, syncs the folder; a power cut leaves the old or the new one. */
export function writeSnapshot(file: string, snapshot: Snapshot): void {
  const beside = `${file}.new`;
  const handle = openSync(beside, "w", 0o600);
  try {
    // Unlike writeSync this fails when the disk takes only a part.
    writeFileSync(handle, encodeSnapshot(snapshot));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(beside, file);
  const folder = openSync(dirname(file), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/**
 * For the engine at boot. `missing` is an ordinary first start; `broken` is an alarm. A rehearsal takes a rehearsal's
 * snapshot alone, and a real box one of a site that is live.
 */
export function readSnapshot(
  file: string,
  practice: boolean,
): { snapshot: Snapshot } | { missing: true } | { broken: string } {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { missing: true };
    return { broken: error instanceof Error ? error.message : String(error) };
  }
  const read = decodeSnapshot(text);
  if ("broken" in read) return read;
  if (read.snapshot.practice !== practice) {
    return { broken: practice ? "it is a real site's, and this is practice" : "it is a practice site's" };
  }
  if (!practice && !read.snapshot.config.live) return { broken: "its site file did not say `live: true`" };
  return read;
}
