import type { CarrierProfile } from "../../base/config/schema.ts";
import type { Header } from "../../sip/messages/message.ts";
import { type Part, printMultipart } from "../../sip/messages/multipart.ts";
import { encodeText } from "../../sip/messages/wire-text.ts";
import type { ResolvedLocation } from "./location.ts";
import { contentId, printPidfLo } from "./pidf-lo.ts";

/** The part of an INVITE that differs by carrier: location headers and body. */
export interface Conveyed {
  readonly headers: readonly Header[];
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
}

export interface ConveyanceInput {
  readonly profile: CarrierProfile;
  readonly sdp: string | undefined;
  /** Undefined: without location (a carrier that knows it by the number, or one that refused it with 424). */
  readonly location: ResolvedLocation | undefined;
  /** Presentity of the PIDF-LO: the caller's URI. */
  readonly entity: string;
  readonly instance: string | undefined;
  /** Host part of the Content-ID: ours. */
  readonly host: string;
  readonly wall_ms: number;
}

/** SDP and location as the carrier's profile wants them (RFC 6442 §4). */
export function convey(input: ConveyanceInput): Conveyed {
  const { profile, sdp } = input;
  const place = input.location?.location;
  const routing: Header = { name: "Geolocation-Routing", value: profile.geolocation_routing ? "yes" : "no" };
  const sdpOnly = (headers: readonly Header[]): Conveyed => ({
    headers,
    body: encodeText(sdp ?? ""),
    contentType: sdp === undefined ? undefined : "application/sdp",
  });
  if (place === undefined || profile.location === "none") return sdpOnly([]);
  if (profile.location === "reference" && profile.location_reference !== undefined) {
    const uri = profile.location_reference.replaceAll("{location}", encodeURIComponent(place.id));
    return sdpOnly([{ name: "Geolocation", value: `<${uri.replace(/[\s<>]/g, "")}>` }, routing]);
  }
  // The carrier's identifier stands bare: it is not a URI. A location that has none still goes, by value.
  if (profile.location === "carrier_id" && place.carrier_location_id !== undefined) {
    return sdpOnly([{ name: "Geolocation", value: place.carrier_location_id }, routing]);
  }
  const cid = contentId(place, input.host);
  const pidf = printPidfLo({
    entity: input.entity,
    device: input.location?.device ?? place.id,
    instance: input.instance,
    location: place,
    wall_ms: input.wall_ms,
  });
  const parts: Part[] = [];
  if (sdp !== undefined) {
    parts.push({ headers: [{ name: "Content-Type", value: "application/sdp" }], body: encodeText(sdp) });
  }
  parts.push({
    headers: [
      { name: "Content-Type", value: "application/pidf+xml" },
      { name: "Content-ID", value: `<${cid}>` },
      // RFC 5621 §9.1: by reference, so that a peer that does not know it goes on; RFC 6442 §4.1 points to it.
      { name: "Content-Disposition", value: "by-reference;handling=optional" },
    ],
    body: encodeText(pidf),
  });
  const { contentType, body } = printMultipart(parts);
  return { headers: [{ name: "Geolocation", value: `<cid:${cid}>` }, routing], body, contentType };
}
