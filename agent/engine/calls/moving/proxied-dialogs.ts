import type { SipRequest, SipResponse } from "../../../sip/messages/message.ts";
import { isInDialog } from "../../forwarding.ts";
import type { OwnUris } from "../../own-uris.ts";
import { destinationOf } from "../leg.ts";
import type { Party } from "../proxy-parties.ts";
import {
  type BegunDialog,
  confirmed,
  isOfDialog,
  type KeptDialog,
  passRequest,
  passResponse,
  type Way,
} from "./kept-dialog.ts";

const KEPT_MAX = 2000;

/** Hears of the calls whose dialogs are kept. */
export interface DialogWatcher {
  /** Answered, or something that has to outlive the engine is different. */
  changed(leg: string): void;
  ended(leg: string): void;
}

/**
 * The dialogs of answered calls between phones and trunks, as they pass. While the box has put in no request of its own
 * every message goes on byte for byte as it would without.
 */
export class ProxiedDialogs {
  readonly #own: OwnUris;
  readonly #begun = new Map<string, BegunDialog>();
  readonly #kept = new Map<string, KeptDialog>();
  watcher: DialogWatcher | undefined;

  constructor(own: OwnUris) {
    this.#own = own;
  }

  get size(): number {
    return this.#kept.size;
  }

  get(leg: string): KeptDialog | undefined {
    return this.#kept.get(leg);
  }

  all(): Iterable<KeptDialog> {
    return this.#kept.values();
  }

  /** A change that no message brought. */
  put(kept: KeptDialog): void {
    this.#kept.set(kept.leg, kept);
    this.watcher?.changed(kept.leg);
  }

  /** A request about to leave: as it has to go on. `received`: as it came. */
  onward(leg: string, request: SipRequest, from: Party, to: Party, received: SipRequest): SipRequest {
    const way = wayOf(from, to);
    if (way === undefined) return request;
    if (!isInDialog(received)) {
      if (request.method === "INVITE") this.#begin(leg, way, request, from, to, received);
      return request;
    }
    const kept = this.#kept.get(leg);
    if (kept === undefined || !isOfDialog(kept, way, request)) return request;
    const passed = passRequest(kept, way, request);
    this.#keep(kept, passed.kept);
    return passed.request;
  }

  /** A response about to go back to `from`, who sent `received`. */
  back(leg: string, response: SipResponse, from: Party, to: Party, received: SipRequest): SipResponse {
    const way = wayOf(from, to);
    if (way === undefined) return response;
    const kept = this.#kept.get(leg);
    if (kept !== undefined) {
      if (!isInDialog(received) || !isOfDialog(kept, way, received)) return response;
      const passed = passResponse(kept, way, received, response);
      this.#keep(kept, passed.kept);
      return passed.response;
    }
    const begun = this.#begun.get(leg);
    if (begun === undefined || received.method !== "INVITE" || response.status < 200) return response;
    this.#begun.delete(leg);
    if (response.status >= 300) return response;
    const phone = to.kind === "phone" ? destinationOf(to.flow) : begun.phone;
    const made = confirmed({ ...begun, phone }, response, response, (element) => this.#isOf(leg, element));
    if (made !== undefined && this.#kept.size < KEPT_MAX) this.put(made);
    return response;
  }

  /** One fork of an answered call was hung up while another goes on: that one is not kept, and stays where it is. */
  forkEnded(leg: string, bye: SipRequest): void {
    const kept = this.#kept.get(leg);
    if (kept !== undefined && (isOfDialog(kept, "out", bye) || isOfDialog(kept, "in", bye))) this.ended(leg);
  }

  ended(leg: string): void {
    this.#begun.delete(leg);
    if (this.#kept.delete(leg)) this.watcher?.ended(leg);
  }

  #begin(leg: string, way: Way, sent: SipRequest, from: Party, to: Party, received: SipRequest): void {
    if (this.#begun.size >= KEPT_MAX) {
      for (const oldest of this.#begun.keys()) {
        this.#begun.delete(oldest);
        break;
      }
    }
    const [phone, trunk] = way === "out" ? [from, to] : [to, from];
    if (trunk.kind !== "trunk") return;
    const known = this.#begun.get(leg);
    this.#begun.set(leg, {
      leg,
      trunk: trunk.trunk.id,
      phone: destinationOf(phone.flow),
      phone_called: way === "in",
      received,
      sent: known?.sent ?? sent,
    });
  }

  #keep(before: KeptDialog, after: KeptDialog): void {
    if (after === before) return;
    this.#kept.set(after.leg, after);
    this.watcher?.changed(after.leg);
  }

  #isOf(leg: string, element: string): boolean {
    const own = this.#own.ofRoute(element);
    return own.ours && own.token?.leg === leg;
  }
}

function wayOf(from: Party, to: Party): Way | undefined {
  if (from.kind === to.kind) return undefined;
  return from.kind === "phone" ? "out" : "in";
}
