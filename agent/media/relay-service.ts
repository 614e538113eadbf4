/**
 * The Relay port over the link, the answering side: what is asked is checked before anything is done with it. By hand,
 * not by a schema library, which would double the time in which a killed media process is back.
 */
import { HoldfastError } from "../base/errors.ts";
import type { EndpointSpec, Playback, Relay, RemotePeer } from "./relay.ts";

export type RelayMethod = Exclude<keyof Relay, "connected">;

const ID_LIMIT = 256;

/** One question by method name; rejects with `media.refused` when it is malformed, else as the relay does. */
export async function answerRelay(relay: Relay, method: string, args: readonly unknown[]): Promise<unknown> {
  if (!Object.hasOwn(ANSWERS, method)) throw refusal(`there is no method "${method}"`);
  return ANSWERS[method as RelayMethod](relay, args[0], args[1]);
}

const ANSWERS: Readonly<Record<RelayMethod, (relay: Relay, a: unknown, b: unknown) => Promise<unknown>>> = {
  open: (relay, spec) => relay.open(checked(spec, isSpec, "the endpoint")),
  setPeer: (relay, id, peer) => relay.setPeer(checkedId(id), checked(peer, isPeer, "the peer")),
  bridge: (relay, a, b) => relay.bridge(checkedId(a), checkedId(b)),
  unbridge: (relay, id) => relay.unbridge(checkedId(id)),
  play: (relay, id, playback) => relay.play(checkedId(id), checked(playback, isPlayback, "the playback")),
  stop: (relay, id) => relay.stop(checkedId(id)),
  close: (relay, id) => relay.close(checkedId(id)),
  closeCall: (relay, call_id) => relay.closeCall(checkedId(call_id)),
  list: (relay) => relay.list(),
};

function checkedId(value: unknown): string {
  return checked(value, isId, "an id");
}

function checked<T>(value: unknown, is: (value: unknown) => value is T, what: string): T {
  if (!is(value)) throw refusal(`${what} is malformed`);
  return value;
}

function refusal(why: string): HoldfastError {
  return new HoldfastError("media.refused", `${why}.`);
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= ID_LIMIT;
}

function isSpec(value: unknown): value is EndpointSpec {
  if (!isObject(value)) return false;
  const { id, call_id, local_address, emergency, opaque, path, port } = value;
  const named = isId(id) && isId(call_id) && isId(local_address) && (path === undefined || isId(path));
  const flagged = typeof emergency === "boolean" && (opaque === undefined || typeof opaque === "boolean");
  return named && flagged && (port === undefined || isNumber(port));
}

function isPeer(value: unknown): value is RemotePeer {
  if (!isObject(value)) return false;
  const { address, port, rtcp_port, accept_from } = value;
  if (!isId(address) || typeof port !== "number" || !Array.isArray(accept_from)) return false;
  return accept_from.every(isId) && (rtcp_port === undefined || typeof rtcp_port === "number");
}

function isPlayback(value: unknown): value is Playback {
  if (!isObject(value) || !isObject(value.sound)) return false;
  if (value.payload_type !== 0 && value.payload_type !== 8) return false;
  const { kind, name, frequencies_hz, on_ms, off_ms, repeat, again_after_ms } = value.sound;
  if (kind === "announcement") return isId(name) && (again_after_ms === undefined || isNumber(again_after_ms));
  return kind === "tone" && Array.isArray(frequencies_hz) && [...frequencies_hz, on_ms, off_ms, repeat].every(isNumber);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
