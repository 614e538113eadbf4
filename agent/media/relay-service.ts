/** The Relay port over the link, the answering side: what is asked is checked before anything is done with it. */
import { type Static, type TSchema, Type } from "typebox";
import { Check } from "typebox/value";
import { HoldfastError } from "../base/errors.ts";
import type { Relay } from "./relay.ts";

const Id = Type.String({ minLength: 1, maxLength: 256 });
const Address = Type.String({ minLength: 2, maxLength: 64 });

const Spec = Type.Object({ id: Id, call_id: Id, local_address: Address, emergency: Type.Boolean() });
const Peer = Type.Object({
  address: Address,
  port: Type.Integer(),
  rtcp_port: Type.Optional(Type.Integer()),
  accept_from: Type.Array(Address),
});
const Playback = Type.Object({
  payload_type: Type.Union([Type.Literal(0), Type.Literal(8)]),
  sound: Type.Union([
    Type.Object({
      kind: Type.Literal("tone"),
      frequencies_hz: Type.Array(Type.Number()),
      on_ms: Type.Number(),
      off_ms: Type.Number(),
      repeat: Type.Number(),
    }),
    Type.Object({ kind: Type.Literal("announcement"), name: Id }),
  ]),
});

export type RelayMethod = Exclude<keyof Relay, "connected">;

/** One question by method name; rejects with `media.refused` when it is malformed, else as the relay does. */
export function answerRelay(relay: Relay, method: string, args: readonly unknown[]): Promise<unknown> {
  const answer = ANSWERS[method as RelayMethod];
  if (answer === undefined || !Object.hasOwn(ANSWERS, method)) return refused(`there is no method "${method}"`);
  return answer(relay, args);
}

const ANSWERS: Readonly<Record<RelayMethod, (relay: Relay, args: readonly unknown[]) => Promise<unknown>>> = {
  open: checked(Type.Tuple([Spec]), (relay, [spec]) => relay.open(spec)),
  setPeer: checked(Type.Tuple([Id, Peer]), (relay, [id, peer]) => relay.setPeer(id, peer)),
  bridge: checked(Type.Tuple([Id, Id]), (relay, [a, b]) => relay.bridge(a, b)),
  unbridge: checked(Type.Tuple([Id]), (relay, [id]) => relay.unbridge(id)),
  play: checked(Type.Tuple([Id, Playback]), (relay, [id, playback]) => relay.play(id, playback)),
  stop: checked(Type.Tuple([Id]), (relay, [id]) => relay.stop(id)),
  close: checked(Type.Tuple([Id]), (relay, [id]) => relay.close(id)),
  closeCall: checked(Type.Tuple([Id]), (relay, [call_id]) => relay.closeCall(call_id)),
  list: checked(Type.Tuple([]), (relay) => relay.list()),
};

function checked<T extends TSchema>(schema: T, run: (relay: Relay, args: Static<T>) => Promise<unknown>) {
  return (relay: Relay, args: readonly unknown[]): Promise<unknown> =>
    Check(schema, args) ? run(relay, args as Static<T>) : refused("its arguments are malformed");
}

function refused(why: string): Promise<never> {
  return Promise.reject(new HoldfastError("media.refused", `${why}.`));
}
