import type { AlarmBoard } from "../../base/alarms.ts";
import type { Clock } from "../../base/clock.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import type { EventFactory, HoldfastEvent, Mode } from "../../base/events.ts";
import type { Log } from "../../base/log.ts";
import type { CallStatus } from "../../base/status.ts";
import type { Relay } from "../../media/relay.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import type { TransactionLayer } from "../../sip/transactions/layer.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import type { TransportLayer } from "../../sip/transport/transport.ts";
import type { Path, Paths } from "../paths/path.ts";
import type { Contacts } from "../registrar/contacts.ts";
import type { Trunk, Trunks } from "../trunks/trunk.ts";
import type { DeadPathExit } from "./moving/dead-path-exit.ts";

/** What calls are made of; everything is passed in. */
export interface CallsContext {
  /** The configuration in force now: it may change while calls run. */
  config(): SiteConfig;
  mode(): Mode;
  readonly clock: Clock;
  readonly log: Log;
  readonly transactions: TransactionLayer;
  readonly transport: TransportLayer;
  readonly trunks: Trunks;
  readonly paths: Paths;
  readonly contacts: Contacts;
  readonly relay: Relay;
  record(event: HoldfastEvent): void;
  readonly events: EventFactory;
  readonly alarms: AlarmBoard;
  /** Calls that the box only forwards end, those that go over this path. */
  forwardedGiveWay(path: string): void;
  /** A folder on a tmpfs: what is written there outlives the engine, not the machine. */
  readonly journalDir: string;
}

/** One call as the collection of calls sees it. */
export interface OwnedCall {
  readonly id: string;
  /** An emergency call proper, not a test one: nothing may disturb it. */
  readonly emergency: boolean;
  /** How it leaves a path that has died. */
  readonly exit: DeadPathExit;
  /** A request within one of its dialogs; `token` is the user part of our Contact there. */
  inDialog(token: string, tx: ServerTransaction): void;
  onAck(token: string, ack: SipRequest): void;
  status(): CallStatus | undefined;
  pathChanged(path: Path): void;
  trunkChanged(trunk: Trunk): void;
  /** Gives its place on this path to an emergency call. */
  giveWay(path: string): void;
  /** The engine ends and the call goes on without it: nobody is told, and nothing waits any more. */
  abandon(): void;
}
