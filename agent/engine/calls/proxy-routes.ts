import { headerList, removeFirst, setHeader } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import { parseNameAddr } from "../../sip/messages/name-addr.ts";
import { hasParam } from "../../sip/messages/params.ts";
import { asRequestUri, parseUri } from "../../sip/messages/uri.ts";
import { topRoute } from "../forwarding.ts";
import type { OwnToken } from "../own-tokens.ts";
import type { OwnUris } from "../own-uris.ts";

export interface ReadRoute {
  /** Our element nearest to the target: it says which side the request leaves by. */
  readonly token: OwnToken;
  /** The side that the dialog itself names, where the way of a registration was laid over it. */
  readonly dialog?: OwnToken["side"];
  /** Only one element was there: over a Path, or of a Route that somebody cut. */
  readonly single: boolean;
  /** Passages that were left out because their trunk is dead: the request ends them too. */
  readonly skipped: readonly string[];
}

/**
 * Loose routing (RFC 3261 §16.4, §16.12): takes our elements off the top of Route. A strict router before us may have
 * put one of ours into the Request-URI. Where the side named is a trunk that is down, and the call comes back through
 * this box further on (phone → box → PBX → box → phone), the dead part of the way is skipped.
 */
export function readRoute(
  own: OwnUris,
  request: SipRequest,
  isDead: (trunk: string) => boolean,
): ReadRoute | undefined {
  undoStrictRouting(own, request);
  let route = takeOwn(own, request);
  if (route === undefined) return undefined;
  while (route.token.side.kind === "trunk" && isDead(route.token.side.trunk)) {
    const further = skipToOwn(own, request);
    if (further === undefined) break;
    route = { ...further, skipped: [...route.skipped, route.token.leg] };
  }
  return route;
}

/**
 * §16.6 step 6: a next hop that is a strict router, known by the lr that it did not give itself, wants to stand in the
 * Request-URI, and the target comes last. Only inside a dialog, whose route is what the hops said themselves: phones
 * that name their proxy in a Route of their own often leave lr out and mean no such thing.
 */
export function forStrictRouter(request: SipRequest): void {
  const uri = parseNameAddr(topRoute(request) ?? "")?.uri;
  const parsed = uri === undefined ? undefined : parseUri(uri);
  if (uri === undefined || parsed === undefined || hasParam(parsed.params, "lr")) return;
  const [, ...rest] = headerList(request, "Route");
  setHeader(request, "Route", [...rest, `<${request.uri}>`].join(", "));
  request.uri = asRequestUri(uri);
}

/** §16.4: a Request-URI of our own making, with a Route behind it, was put there by a strict router. */
function undoStrictRouting(own: OwnUris, request: SipRequest): void {
  const uri = own.of(request.uri);
  if (!uri.ours || uri.token === undefined) return;
  const routes = headerList(request, "Route");
  const last = parseNameAddr(routes.at(-1) ?? "");
  // Behind it stands the target then. Where an element of ours is last, the PBX has looked up a contact of our making.
  if (last === undefined || own.of(last.uri).ours) return;
  const element = `<${request.uri};lr>`;
  request.uri = last.uri;
  setHeader(request, "Route", [element, ...routes.slice(0, -1)].join(", "));
}

/**
 * What is ours on top. A registrar that finds a phone by its GRUU inside a dialog lays the Path of the registration over
 * the dialog's own Route (RFC 3327 §5, RFC 5627 §5): the passage is the dialog's, the way to the phone the registration's,
 * which is the newer one, unless the phone came up anew and the registrar still knows the connection of before.
 */
function takeOwn(own: OwnUris, request: SipRequest): ReadRoute | undefined {
  const first = takePassage(own, request);
  if (first === undefined || !first.single || first.token.side.kind !== "phone") return first;
  const rest = [...request.headers];
  const dialog = takePassage(own, request);
  if (dialog !== undefined && !dialog.single && dialog.token.side.kind === "phone") {
    const { side, leg } = dialog.token;
    return { token: { side: first.token.side, leg }, dialog: side, single: false, skipped: [] };
  }
  request.headers.splice(0, request.headers.length, ...rest);
  return first;
}

/** Our pair on top, one for each side; the last of it tells. No more than one pair: a further one is another passage. */
function takePassage(own: OwnUris, request: SipRequest): ReadRoute | undefined {
  let last: OwnToken | undefined;
  let count = 0;
  for (let top = topRoute(request); top !== undefined; top = topRoute(request)) {
    const element = own.ofRoute(top);
    if (!element.ours) break;
    if (element.token !== undefined && last !== undefined && element.token.leg !== last.leg) break;
    removeFirst(request, "Route");
    if (element.token === undefined) continue;
    last = element.token;
    count++;
  }
  return last === undefined ? undefined : { token: last, single: count === 1, skipped: [] };
}

function skipToOwn(own: OwnUris, request: SipRequest): ReadRoute | undefined {
  const routes = headerList(request, "Route");
  const at = routes.findIndex((element) => {
    const route = own.ofRoute(element);
    return route.ours && route.token !== undefined;
  });
  if (at < 0) return undefined;
  setHeader(request, "Route", routes.slice(at).join(", "));
  return takeOwn(own, request);
}
