import type { Clock, Timer } from "../../base/clock.ts";
import type { HopFailure } from "../locating/hop-list.ts";
import { header } from "../messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../messages/message.ts";
import type { Flow, TransportError } from "../transport/flow.ts";
import type { ClientHandlers, ClientTransaction } from "./client-transaction.ts";
import type { RequestOptions, TransactionLayer } from "./layer.ts";

/** The servers of the peer that a request is for. */
export interface PeerServers {
  /** Where to repeat what failed on the last of the flows `tried`; undefined when every server has been tried. */
  alternative(tried: readonly Flow[], failure: HopFailure): Flow | undefined;
}

export interface FailoverOptions extends RequestOptions {
  /** Without any response for so long, the next server is tried beside this one. Left out: only a timeout does that. */
  readonly patience_ms?: number;
}

/** A request that goes on to the peer's next server when one fails. Its other members are those of the newest sending. */
export interface FailoverTransaction extends ClientTransaction {
  /**
   * The server is in doubt: if it has not said a word yet, the request goes to the next one too. False when it has, or when
   * there is none.
   */
  moveOn(): boolean;
}

interface Sending {
  readonly transaction: ClientTransaction;
  /** No final response, and one may still come. */
  live: boolean;
}

/**
 * A request of any method to a peer with several servers (RFC 3263 §4.3): a transport error, a timeout or a 503 is not told
 * while there is another server; the same request goes there in a transaction of its own. Whatever is told comes from
 * one server, except the 2xx to an INVITE, of which every one is told. The flow that is told is the one that it was sent on.
 */
export function requestWithFailover(
  { layer, clock, servers }: { readonly layer: TransactionLayer; readonly clock: Clock; readonly servers: PeerServers },
  message: SipRequest,
  first: Flow,
  handlers: ClientHandlers,
  { patience_ms, ...options }: FailoverOptions = {},
): FailoverTransaction {
  const sendings: Sending[] = [];
  const tried: Flow[] = [];
  let heard = false;
  let cancelled = false;
  let settled = false;
  let patience: Timer | undefined;

  const isInvite = message.method === "INVITE";
  const othersLive = (own: Sending) => sendings.some((each) => each !== own && each.live);

  const next = (failure: HopFailure): boolean => {
    if (cancelled || settled) return false;
    const flow = servers.alternative(tried, failure);
    if (flow === undefined) return false;
    send(flow);
    return true;
  };

  /** One sending came to nothing: another server, or the word that is left when no other sending can still answer. */
  const failed = (own: Sending, failure: HopFailure, tell: () => void) => {
    own.live = false;
    if (settled || next(failure) || othersLive(own)) return;
    settled = true;
    patience?.cancel();
    tell();
  };

  const final = (own: Sending, response: SipResponse, flow: Flow) => {
    patience?.cancel();
    const success = response.status < 300;
    if (!success && response.status === 503 && !settled) {
      failed(own, { kind: "refused", retry_after_s: retryAfter(response) }, () => handlers.onFinal(response, flow));
      return;
    }
    own.live = false;
    if (settled && !(success && isInvite)) return;
    if (!settled) {
      settled = true;
      for (const other of sendings) if (other !== own && other.live) other.transaction.cancel();
    }
    handlers.onFinal(response, flow);
  };

  const send = (flow: Flow) => {
    tried.push(flow);
    patience?.cancel();
    // The layer tells nothing before `request` has returned.
    const own: Sending = {
      live: true,
      transaction: layer.request(
        message,
        flow,
        {
          onProvisional: (response) => {
            heard = true;
            patience?.cancel();
            if (!settled) handlers.onProvisional?.(response, flow);
          },
          onFinal: (response) => final(own, response, flow),
          onTimeout: () => failed(own, { kind: "transport" }, () => handlers.onTimeout()),
          onTransportError: (error: TransportError) =>
            failed(own, { kind: "transport" }, () => handlers.onTransportError(error)),
        },
        options,
      ),
    };
    sendings.push(own);
    if (patience_ms !== undefined) patience = clock.after(patience_ms, () => void moveOn());
  };

  const moveOn = (): boolean => !heard && next({ kind: "silent" });
  const newest = (): ClientTransaction => {
    const last = sendings.at(-1);
    if (last === undefined) throw new Error("nothing was sent");
    return last.transaction;
  };

  send(first);
  return {
    get id() {
      return newest().id;
    },
    get request() {
      return newest().request;
    },
    get flow() {
      return newest().flow;
    },
    get state() {
      return newest().state;
    },
    moveOn,
    cancel(headers?: readonly Header[]) {
      cancelled = true;
      patience?.cancel();
      for (const { live, transaction } of sendings) if (live) transaction.cancel(headers);
    },
    quiet() {
      for (const { live, transaction } of sendings) if (live) transaction.quiet();
    },
    abandon() {
      settled = true;
      patience?.cancel();
      for (const { transaction } of sendings) transaction.abandon();
    },
  };
}

function retryAfter(response: SipResponse): number | undefined {
  const seconds = /^\s*(\d{1,7})/.exec(header(response, "Retry-After") ?? "")?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}
