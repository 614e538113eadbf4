import { describe, expect, test } from "vitest";
import { buildRequest, buildResponse } from "../messages/build.ts";
import { header, headerValues, setHeader } from "../messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../messages/message.ts";
import {
  accept,
  confirm,
  type Dialog,
  dialogFromJson,
  dialogId,
  dialogIdOf,
  fromUac,
  fromUas,
  newAck,
  newRequest,
  nextHop,
  refresh,
  terminate,
} from "./dialog.ts";

const PROXIES = ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"];

function invite(headers: readonly Header[] = [], uri = "sip:bob@example.com"): SipRequest {
  return buildRequest({
    method: "INVITE",
    uri,
    from: '"Alice" <sip:alice@example.com>;tag=a1;x=y',
    to: "<sip:bob@example.com>",
    callId: "call-1",
    cseq: 41,
    contact: "<sip:alice@192.0.2.1:5070;transport=tcp>",
    headers,
  });
}

function answer(request: SipRequest, status: number, headers: readonly Header[] = []): SipResponse {
  const contact = { name: "Contact", value: "<sip:bob@192.0.2.2;ob>" };
  return buildResponse(request, status, { toTag: "b1", headers: [contact, ...headers] });
}

function recordRoute(values: readonly string[]): Header[] {
  return values.map((value) => ({ name: "Record-Route", value }));
}

function made(dialog: Dialog | undefined): Dialog {
  if (dialog === undefined) throw new Error("no dialog");
  return dialog;
}

/** Both ends' view of one call through two proxies; the second proxy's Record-Route stands first. */
function ends(status = 200) {
  const request = invite(recordRoute([...PROXIES].reverse()));
  const response = answer(request, status);
  return { request, response, uas: made(fromUas(request, response)), uac: made(fromUac(request, response)) };
}

describe("a dialog is made", () => {
  test("at the UAS by request and response (§12.1.1)", () => {
    expect(ends().uas).toEqual({
      callId: "call-1",
      localTag: "b1",
      remoteTag: "a1",
      local: "<sip:bob@example.com>",
      remote: '"Alice" <sip:alice@example.com>;x=y',
      remoteTarget: "sip:alice@192.0.2.1:5070;transport=tcp",
      routeSet: ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"],
      remoteSeq: 41,
      secure: false,
      state: "confirmed",
    });
  });

  test("at the UAC, with the route set reversed (§12.1.2)", () => {
    expect(ends().uac).toEqual({
      callId: "call-1",
      localTag: "a1",
      remoteTag: "b1",
      local: '"Alice" <sip:alice@example.com>;x=y',
      remote: "<sip:bob@example.com>",
      remoteTarget: "sip:bob@192.0.2.2;ob",
      routeSet: PROXIES,
      localSeq: 41,
      secure: false,
      state: "confirmed",
    });
  });

  test("several Record-Route elements in one line count each", () => {
    const request = invite(recordRoute([[...PROXIES].reverse().join(" , ")]));
    expect(fromUac(request, answer(request, 200))?.routeSet).toEqual(PROXIES);
  });

  test("early by a provisional with a To tag, not by a 100, a final failure or without Contact", () => {
    const request = invite();
    expect(fromUac(request, answer(request, 183))?.state).toBe("early");
    expect(fromUas(request, answer(request, 180))?.state).toBe("early");
    for (const status of [100, 302, 486]) expect(fromUac(request, answer(request, status))).toBeUndefined();
    expect(fromUac(request, buildResponse(request, 200, { toTag: "b1" }))).toBeUndefined();
    const untagged = answer(request, 183);
    setHeader(untagged, "To", "<sip:bob@example.com>");
    expect(fromUac(request, untagged)).toBeUndefined();
  });

  test("by an old peer's 2xx without a To tag", () => {
    const request = invite();
    const untagged = answer(request, 200);
    setHeader(untagged, "To", "<sip:bob@example.com>");
    const dialog = made(fromUac(request, untagged));
    expect(dialog.remoteTag).toBe("");
    expect(header(newRequest(dialog, "BYE").request, "To")).toBe("<sip:bob@example.com>");
  });

  test("secure only by a sips Request-URI over TLS", () => {
    const secured = invite([], "sips:bob@example.com");
    expect(fromUas(secured, answer(secured, 200), true)?.secure).toBe(true);
    expect(fromUas(secured, answer(secured, 200), false)?.secure).toBe(false);
    expect(fromUas(invite(), answer(invite(), 200), true)?.secure).toBe(false);
  });

  test("both ends' messages find it by id", () => {
    const { uac, uas, response } = ends();
    expect(dialogIdOf(response)).toBe(dialogId(uac));
    expect(dialogIdOf(newRequest(uac, "BYE").request)).toBe(dialogId(uas));
    expect(dialogIdOf(newRequest(uas, "BYE").request)).toBe(dialogId(uac));
  });
});

describe("a request within the dialog", () => {
  test("bears tags, the next CSeq, the target and the route", () => {
    const { uac } = ends();
    const { dialog, request } = newRequest(uac, "BYE");
    expect(request.uri).toBe("sip:bob@192.0.2.2;ob");
    expect(headerValues(request, "Route")).toEqual(PROXIES);
    expect(header(request, "From")).toBe('"Alice" <sip:alice@example.com>;x=y;tag=a1');
    expect(header(request, "To")).toBe("<sip:bob@example.com>;tag=b1");
    expect([header(request, "CSeq"), header(request, "Call-ID")]).toEqual(["42 BYE", "call-1"]);
    expect([dialog.localSeq, uac.localSeq]).toEqual([42, 41]);
    expect(nextHop(uac)).toBe("sip:p1.example.com;lr");
  });

  test("counts from 1 at the UAS", () => {
    const { uas } = ends();
    const first = newRequest(uas, "INFO");
    const second = newRequest(first.dialog, "BYE");
    expect([header(first.request, "CSeq"), header(second.request, "CSeq")]).toEqual(["1 INFO", "2 BYE"]);
  });

  test("stands in a strict router's Request-URI and puts the target last (§12.2.1.1)", () => {
    const strict = {
      ...ends().uac,
      routeSet: ["<sip:old.example.com;method=INVITE;x=1?Subject=hi>", "<sip:p2.example.com;lr>"],
    };
    const { request } = newRequest(strict, "BYE");
    expect(request.uri).toBe("sip:old.example.com;x=1");
    expect(headerValues(request, "Route")).toEqual(["<sip:p2.example.com;lr>", "<sip:bob@192.0.2.2;ob>"]);
  });

  test("goes to the target itself where there is no route", () => {
    const request = invite();
    const dialog = made(fromUac(request, answer(request, 200)));
    expect(headerValues(newRequest(dialog, "BYE").request, "Route")).toEqual([]);
    expect(nextHop(dialog)).toBe("sip:bob@192.0.2.2;ob");
  });

  test("the ACK to a 2xx has the INVITE's number and does not count on", () => {
    const { uac } = ends();
    const ack = newAck(uac, 41, { headers: [{ name: "Proxy-Authorization", value: "Digest x" }] });
    expect([ack.method, header(ack, "CSeq"), header(ack, "Proxy-Authorization")]).toEqual([
      "ACK",
      "41 ACK",
      "Digest x",
    ]);
    expect(headerValues(ack, "Route")).toEqual(PROXIES);
  });
});

describe("a request of the peer", () => {
  const within = (seq: number, method: string, contact?: string): SipRequest =>
    buildRequest({
      method,
      uri: "sip:bob@192.0.2.2",
      from: "<sip:alice@example.com>;tag=a1",
      to: "<sip:bob@example.com>;tag=b1",
      callId: "call-1",
      cseq: seq,
      ...(contact === undefined ? {} : { contact }),
    });

  test("with a higher number is taken, with a lower one refused by 500 (§12.2.2)", () => {
    const { uas } = ends();
    expect(accept(uas, within(42, "BYE"))).toMatchObject({ ok: true, dialog: { remoteSeq: 42 } });
    expect(accept(uas, within(40, "BYE"))).toEqual({ ok: false, status: 500 });
  });

  test("ACK and CANCEL bear the INVITE's number by right", () => {
    const later = accept(ends().uas, within(50, "INFO"));
    if (!later.ok) throw new Error("refused");
    for (const method of ["ACK", "CANCEL"]) {
      expect(accept(later.dialog, within(41, method))).toEqual({ ok: true, dialog: later.dialog });
    }
  });

  test("moves the target by re-INVITE and UPDATE, not by INFO", () => {
    const { uas } = ends();
    const targetAfter = (method: string) => {
      const accepted = accept(uas, within(42, method, "<sip:alice@192.0.2.99>"));
      return accepted.ok ? accepted.dialog.remoteTarget : undefined;
    };
    expect(targetAfter("INVITE")).toBe("sip:alice@192.0.2.99");
    expect(targetAfter("UPDATE")).toBe("sip:alice@192.0.2.99");
    expect(targetAfter("INFO")).toBe("sip:alice@192.0.2.1:5070;transport=tcp");
  });

  test("without a readable CSeq is a 400", () => {
    const broken = within(42, "BYE");
    setHeader(broken, "CSeq", "x");
    expect(accept(ends().uas, broken)).toEqual({ ok: false, status: 400 });
  });
});

describe("a dialog moves on", () => {
  test("a 2xx confirms an early one, by its own route and target (§13.2.2.4)", () => {
    const { uac, request } = ends(183);
    expect(uac.state).toBe("early");
    const ok = buildResponse(request, 200, {
      toTag: "b1",
      headers: [{ name: "Contact", value: "<sip:bob@192.0.2.50>" }],
    });
    setHeader(ok, "Record-Route", "<sip:p9.example.com;lr>");
    expect(confirm(uac, ok)).toMatchObject({
      state: "confirmed",
      routeSet: ["<sip:p9.example.com;lr>"],
      remoteTarget: "sip:bob@192.0.2.50",
    });
    expect(confirm(ends(180).uas).state).toBe("confirmed");
  });

  test("a 2xx of a confirmed one leaves its route alone, and moves the target only by refresh", () => {
    const { uac, request } = ends();
    const ok = buildResponse(request, 200, {
      toTag: "b1",
      headers: [{ name: "Contact", value: "<sip:bob@192.0.2.50>" }],
    });
    expect(confirm(uac, ok)).toBe(uac);
    expect(refresh(uac, ok)).toEqual({ ...uac, remoteTarget: "sip:bob@192.0.2.50" });
    expect(refresh(uac, answer(request, 488))).toBe(uac);
  });

  test("ends", () => {
    expect(terminate(ends().uac).state).toBe("terminated");
  });
});

describe("JSON", () => {
  test("carries a dialog unharmed", () => {
    for (const dialog of [ends().uac, ends().uas, ends(180).uac]) {
      expect(dialogFromJson(JSON.parse(JSON.stringify(dialog)))).toEqual(dialog);
    }
  });

  test("of anything else is no dialog", () => {
    const { uac } = ends();
    for (const value of [
      null,
      7,
      "x",
      [],
      {},
      { ...uac, state: "ringing" },
      { ...uac, routeSet: [1] },
      { ...uac, localSeq: -1 },
    ]) {
      expect(dialogFromJson(value)).toBeUndefined();
    }
  });
});
