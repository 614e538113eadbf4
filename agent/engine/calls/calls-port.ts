import type { CallStatus } from "../../base/status.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { Flow } from "../../sip/transport/flow.ts";
import type { Path } from "../paths/path.ts";
import type { RoutePlan } from "../routing/plan-types.ts";
import type { Trunk } from "../trunks/trunk.ts";

/** The calls whose dialogs the box owns, as the dispatcher sees them. */
export interface CallsPort {
  takeEmergency(tx: ServerTransaction, flow: Flow): void;
  takeOutbound(tx: ServerTransaction, flow: Flow, plan: RoutePlan): void;
  takeInbound(tx: ServerTransaction, flow: Flow, trunk: Trunk): void;
  /** Whether a request inside a dialog, or an ACK, belongs to one of them. */
  owns(request: SipRequest): boolean;
  inDialog(tx: ServerTransaction, flow: Flow): void;
  onAck(message: SipRequest, flow: Flow): void;
  status(): readonly CallStatus[];
  pathChanged(path: Path): void;
  trunkChanged(trunk: Trunk): void;
}
