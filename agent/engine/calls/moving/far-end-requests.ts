import type { SiteConfig } from "../../../base/config/schema.ts";
import { type Dialog, newRequest } from "../../../sip/dialogs/dialog.ts";
import type { Header } from "../../../sip/messages/message.ts";
import { parseNameAddr } from "../../../sip/messages/name-addr.ts";
import type { ClientTransaction } from "../../../sip/transactions/client-transaction.ts";
import type { TransactionLayer } from "../../../sip/transactions/layer.ts";
import type { AddressesOfRecord } from "../../registrar/addresses-of-record.ts";
import type { Trunk, Trunks } from "../../trunks/trunk.ts";
import { type Answerer, answererFor } from "../credentials.ts";
import type { KeptDialog } from "./kept-dialog.ts";
import { nextOut, reInvite, replace } from "./own-request.ts";
import type { ProxiedDialogs } from "./proxied-dialogs.ts";

export interface FarEndRequestsContext {
  readonly transactions: TransactionLayer;
  readonly trunks: Trunks;
  readonly dialogs: ProxiedDialogs;
  config(): SiteConfig;
  aors(): AddressesOfRecord;
}

interface Asked {
  /** What is under way, and again when it is repeated with credentials. */
  sent(transaction: ClientTransaction): void;
  /** Status; 408 when no answer came, 503 when it could not be sent. */
  onRefusal(status: number): void;
}

const UNHEARD = { onFinal() {}, onTimeout() {}, onTransportError() {} };

/** Requests of the box's own to the far end of a forwarded call, in the phone's place and with what proves the phone. */
export class FarEndRequests {
  readonly #context: FarEndRequestsContext;

  constructor(context: FarEndRequestsContext) {
    this.#context = context;
  }

  reInvite(
    leg: string,
    trunk: Trunk,
    contact: string,
    offer: string,
    { sent, ...handlers }: Asked & { onAnswer(sdp: string): void },
  ): void {
    const { transactions, dialogs } = this.#context;
    const kept = dialogs.get(leg);
    const { flow } = trunk;
    if (kept === undefined || flow === undefined) {
      handlers.onRefusal(503);
      return;
    }
    const ask = {
      ...{ transactions, flow, contact, offer, answerer: this.#answerer(kept, trunk) },
      kept: () => dialogs.get(leg),
      put: (after: KeptDialog) => dialogs.put(after),
      ...handlers,
    };
    reInvite(ask, [], sent);
  }

  /** A new dialog in the old one's place. `onAnswer` says whether it is wanted; one that is not is ended. */
  replace(
    kept: KeptDialog,
    trunk: Trunk,
    contact: string,
    offer: string,
    { sent, onAnswer, onRefusal }: Asked & { onAnswer(dialog: Dialog, sdp: string): boolean },
  ): void {
    const { transactions } = this.#context;
    const { flow } = trunk;
    if (flow === undefined) {
      onRefusal(503);
      return;
    }
    const ask = {
      ...{ transactions, flow, contact, offer, answerer: this.#answerer(kept, trunk), far: kept.far, onRefusal },
      onAnswer: (dialog: Dialog, sdp: string) => {
        if (!onAnswer(dialog, sdp)) transactions.request(newRequest(dialog, "BYE").request, flow, UNHEARD);
      },
    };
    replace(ask, sent);
  }

  /** BYE to the far end in the phone's place. A challenge is answered once, with what the box knows. */
  end(kept: KeptDialog, trunk: Trunk, headers: readonly Header[], answered = false): void {
    const { flow } = trunk;
    if (flow === undefined) return;
    const next = nextOut(kept);
    const { request, dialog } = newRequest(next.dialog, "BYE", { headers: [...headers] });
    this.#context.transactions.request(request, flow, {
      onFinal: (response) => {
        const challenged = response.status === 401 || response.status === 407;
        const proof = challenged && !answered ? this.#answerer(kept, trunk)(response, request) : undefined;
        if (proof !== undefined) this.end(next.kept(dialog), trunk, [...headers, proof], true);
      },
      onTimeout() {},
      onTransportError() {},
    });
  }

  /** The credentials of the trunk, else the provisioned secret of the phone. */
  #answerer(kept: KeptDialog, trunk: Trunk): Answerer {
    const { trunks, config, aors } = this.#context;
    const aor = aors().of(parseNameAddr(kept.far.local)?.uri ?? "");
    const id = aor === undefined ? undefined : aors().extensionOf(aor);
    const extension = config().extensions.find((each) => each.id === id);
    return answererFor(trunks.get(kept.trunk) ?? trunk, extension, config());
  }
}
