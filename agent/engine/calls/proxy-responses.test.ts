import { describe, expect, test } from "vitest";
import { headerValues } from "../../sip/messages/headers.ts";
import type { SipResponse } from "../../sip/messages/message.ts";
import { bestResponse } from "./proxy-responses.ts";

function response(status: number, ...challenges: [name: string, value: string][]): SipResponse {
  const headers = challenges.map(([name, value]) => ({ name, value }));
  return { kind: "response", status, reason: "", headers, body: new Uint8Array(0) };
}

const best = (...statuses: number[]) => bestResponse(statuses.map((status) => response(status)))?.status;

describe("the best response of all branches (RFC 3261 §16.7 step 6)", () => {
  test("none of none", () => {
    expect(best()).toBeUndefined();
  });

  test("a 6xx ends the search; else the lowest class counts", () => {
    expect(best(404, 603, 302)).toBe(603);
    expect(best(503, 486, 302)).toBe(302);
    expect(best(500, 486)).toBe(486);
  });

  test("of one class that which tells the caller how to try again; 503 and 408 say least", () => {
    for (const helpful of [401, 407, 415, 420, 484]) expect(best(404, helpful, 486)).toBe(helpful);
    expect(best(408, 486)).toBe(486);
    expect(best(503, 500)).toBe(500);
    expect(best(503)).toBe(500);
    expect(best(503, 408)).toBe(408);
  });

  test("it carries the challenges of all branches (step 7, RFC 8760 §2.5), and the others' responses stay as they were", () => {
    const one = response(407, ["Proxy-Authenticate", "Digest a"], ["Proxy-Authenticate", "Digest b"]);
    const other = response(401, ["WWW-Authenticate", "Digest c"]);
    const made = bestResponse([response(486), one, other]);
    expect(made && headerValues(made, "Proxy-Authenticate")).toEqual(["Digest a", "Digest b"]);
    expect(made && headerValues(made, "WWW-Authenticate")).toEqual(["Digest c"]);
    expect(headerValues(one, "WWW-Authenticate")).toEqual([]);
    expect(headerValues(bestResponse([response(486), response(404)]) ?? one, "WWW-Authenticate")).toEqual([]);
  });
});
