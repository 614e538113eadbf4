import type { Clock, Timer } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { newAck, newRequest, refresh } from "../../../sip/dialogs/dialog.ts";
import { sdpOf } from "../../../sip/messages/sdp.ts";
import type { TransactionLayer } from "../../../sip/transactions/layer.ts";
import type { Party } from "../proxy-parties.ts";
import { inserted } from "./cseq-offset.ts";
import { nextIn } from "./own-request.ts";
import type { ProxiedDialogs } from "./proxied-dialogs.ts";

/** RFC 3261 §14.1, for who did not begin the dialog: up to 2 s. Here soon, for nobody understands anything. */
const GLARE_MS = 500;
const GLARE_TRIES = 6;

export interface PhoneOffersContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly transactions: TransactionLayer;
  readonly dialogs: ProxiedDialogs;
}

/** Offers of the box's own to the phone of a forwarded call, in the far end's place. */
export class PhoneOffers {
  readonly #context: PhoneOffersContext;
  /** Calls whose phone is being asked, with the pause before the next try. */
  readonly #open = new Map<string, Timer | undefined>();

  constructor(context: PhoneOffersContext) {
    this.#context = context;
  }

  isAsked(leg: string): boolean {
    return this.#open.has(leg);
  }

  ended(leg: string): void {
    this.#open.get(leg)?.cancel();
    this.#open.delete(leg);
  }

  close(): void {
    for (const timer of this.#open.values()) timer?.cancel();
  }

  /** A phone that refuses is left as it was. */
  tell(
    leg: string,
    offer: string,
    party: () => Party | undefined,
    onAnswer: (sdp: string, phone: Party) => void,
    tries = 0,
  ): void {
    const { transactions, dialogs, clock, log } = this.#context;
    const kept = dialogs.get(leg);
    const phone = party();
    if (kept === undefined || phone === undefined) return;
    this.#open.set(leg, undefined);
    const { request, dialog } = newRequest(nextIn(kept), "INVITE", {
      contact: `<${kept.far.remoteTarget}>`,
      body: offer,
      contentType: "application/sdp",
    });
    const cseq = dialog.localSeq ?? 0;
    dialogs.put({ ...kept, near: dialog, in: inserted(kept.in, cseq) });
    const over = (status: number) => {
      this.#open.delete(leg);
      log.warn("the phone of a moved call does not take what its far end speaks now", { leg, status });
    };
    transactions.request(request, phone.flow, {
      onFinal: (response) => {
        const { status } = response;
        if (status < 300) {
          transactions.sendAck(newAck(refresh(dialog, response), cseq), phone.flow);
          const answer = sdpOf(response);
          if (this.#open.delete(leg) && answer !== undefined) onAnswer(answer, phone);
        } else if (status !== 491 || tries >= GLARE_TRIES || !this.#open.has(leg)) over(status);
        else {
          const again = () => this.tell(leg, offer, party, onAnswer, tries + 1);
          this.#open.set(leg, clock.after(GLARE_MS, again));
        }
      },
      onTimeout: () => over(408),
      onTransportError: () => over(503),
    });
  }
}
