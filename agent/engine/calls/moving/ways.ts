/** What leads to the two ends of a forwarded call. */
import { parseNameAddr } from "../../../sip/messages/name-addr.ts";
import { parseUri, userOf } from "../../../sip/messages/uri.ts";
import type { TransportLayer } from "../../../sip/transport/transport.ts";
import type { BindingStore } from "../../registrar/binding-store.ts";
import type { Trunk } from "../../trunks/trunk.ts";
import { type Party, phoneParty } from "../proxy-parties.ts";
import type { KeptDialog } from "./kept-dialog.ts";

/** Its packets go nowhere. A PBX that alone is silent may yet be out of the way of the sound. */
export function isGone({ path }: Trunk): boolean {
  return path.health.state === "down";
}

export function isUsable(trunk: Trunk): boolean {
  return trunk.health.state !== "down" && !isGone(trunk) && trunk.flow !== undefined;
}

/** With a telephone number, not with an extension of the same cloud. */
export function isOutside({ far }: KeptDialog): boolean {
  const uri = parseUri(parseNameAddr(far.remote)?.uri ?? "");
  const user = uri === undefined ? undefined : (userOf(uri) ?? uri.opaque);
  return user !== undefined && /^\+?[0-9().-]{7,}$/.test(user);
}

/** The phone's flow, or the one over which it has registered since. */
export function phoneOf(
  kept: KeptDialog,
  { transport, store }: { readonly transport: TransportLayer; readonly store: BindingStore },
): Party {
  const flow = transport.flowTo(kept.phone);
  if (!flow.closed && (flow.connected || flow.protocol === "udp")) return { kind: "phone", flow };
  const moved = store.byContact(kept.near.remoteTarget);
  return moved === undefined ? { kind: "phone", flow } : phoneParty(transport, moved);
}
