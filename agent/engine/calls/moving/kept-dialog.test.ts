import { describe, expect, test } from "vitest";
import type { Dialog } from "../../../sip/dialogs/dialog.ts";
import { buildRequest, buildResponse } from "../../../sip/messages/build.ts";
import { header } from "../../../sip/messages/headers.ts";
import { type KeptDialog, pairOf, passRequest, passResponse } from "./kept-dialog.ts";

const far: Dialog = {
  callId: "c",
  localTag: "phone",
  remoteTag: "far",
  local: "<sip:101@pbx.example>",
  remote: "<sip:200@pbx.example>",
  remoteTarget: "sip:200@10.30.0.200",
  routeSet: [],
  secure: false,
  state: "confirmed",
};
const near: Dialog = {
  ...far,
  ...{ localTag: "far", remoteTag: "phone", local: far.remote, remote: far.local, remoteTarget: "sip:101@10.20.0.101" },
};

/** The phone's INVITE 5 went on as 6: the box had put in one before. */
const kept: KeptDialog = {
  v: 1,
  leg: "leg",
  trunk: "cloud",
  phone: { protocol: "udp", address: "10.20.0.101", port: 5060 },
  phone_called: false,
  far,
  near,
  out: { peer: 5, sent: 6, offset: 1, invites: [{ peer: 5, sent: 6 }] },
  in: { offset: 0, invites: [] },
  raised: 1,
};

const ofPhone = (method: string, cseq: number, headers: readonly { name: string; value: string }[] = []) =>
  buildRequest({
    ...{ method, uri: far.remoteTarget, callId: "c", cseq, headers, contact: "<sip:101@10.20.0.111>" },
    ...{ from: `${far.local};tag=phone`, to: `${far.remote};tag=far` },
  });

describe("a forwarded dialog in which the box has put in a request", () => {
  test("RAck names the INVITE by the number that it went on under", () => {
    const prack = ofPhone("PRACK", 6, [{ name: "RAck", value: "1 5 INVITE" }]);
    const { request } = passRequest(kept, "out", prack);
    expect(header(request, "RAck")).toBe("1 6 INVITE");
    expect(header(request, "CSeq")).toBe("7 PRACK");
  });

  test("a target that a request refreshes is known for requests of the box's own", () => {
    const update = passRequest(kept, "out", ofPhone("UPDATE", 6));
    expect(update.kept.near.remoteTarget).toBe("sip:101@10.20.0.111");
    const info = passRequest(kept, "out", ofPhone("INFO", 6));
    expect(info.kept.near.remoteTarget).toBe(near.remoteTarget);
  });

  test("a response bears the number of the request that it answers", () => {
    const received = ofPhone("INFO", 6);
    const sent = passRequest(kept, "out", received).request;
    const { response } = passResponse(kept, "out", received, buildResponse(sent, 200));
    expect(header(response, "CSeq")).toBe("6 INFO");
  });

  test("an offer that the far end refuses leaves the description that it has", () => {
    const sdp = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n";
    const offer = {
      ...ofPhone("INVITE", 6, [{ name: "Content-Type", value: "application/sdp" }]),
      body: Buffer.from(sdp),
    };
    const before: KeptDialog = { ...kept, sdp: "before" };
    const open = passRequest(before, "out", offer);
    expect(open.kept).toMatchObject({ sdp: sdp.replace("- 1 1", "- 1 2"), sdp_before: "before" });
    const refused = passResponse(open.kept, "out", offer, buildResponse(open.request, 488));
    expect(refused.kept.sdp).toBe("before");
    const taken = passResponse(open.kept, "out", offer, buildResponse(open.request, 200));
    expect(taken.kept.sdp_before).toBeUndefined();
  });

  test("the same dialog seen from the other phone of the box is its pair, another call's is not", () => {
    const other: KeptDialog = { ...kept, leg: "other", near: { ...near, localTag: "phone", remoteTag: "far" } };
    expect(pairOf(kept, [kept, other])).toBe(other);
    expect(pairOf(kept, [kept, { ...other, near: { ...other.near, callId: "d" } }])).toBeUndefined();
  });
});
