import { beforeEach, describe, expect, test } from "vitest";
import { buildResponse } from "../sip/messages/build.ts";
import { header, setHeader } from "../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../sip/messages/message.ts";
import type { MemoryPhone } from "./testing/memory-phone.ts";
import { BOX, type MemorySite, memorySite, PBX } from "./testing/memory-site.ts";

let site: MemorySite;
let alice: MemoryPhone;
let bob: MemoryPhone;

beforeEach(async () => {
  site = await memorySite();
  alice = await site.phone("101", "10.20.0.101");
  bob = await site.phone("102", "10.20.0.102");
  void alice.register();
  void bob.register();
  await site.pass(20);
});

const cut = () => site.network.setPaths(BOX, PBX, { cut: "black-hole" });

function offline(): void {
  cut();
  site.setTrunk("down");
  site.setMode("survivable");
}

function asks(method: string, to: string): SipRequest {
  const request = { ...alice.inviteRequest(to, ""), method };
  setHeader(request, "CSeq", `1 ${method}`);
  return request;
}

async function answered(request: SipRequest, ms = 20): Promise<SipResponse> {
  const answer = alice.send(request);
  await site.pass(ms);
  return answer;
}

const methodsAt = (phone: MemoryPhone) =>
  phone.received.flatMap((message) => (message.kind === "request" ? [message.method] : []));

describe("while the cloud is away", () => {
  test("a message goes from phone to phone", async () => {
    offline();
    expect((await answered(asks("MESSAGE", "102"))).status).toBe(200);
    expect(methodsAt(bob)).toContain("MESSAGE");
  });

  test.each(["SUBSCRIBE", "PUBLISH"])("%s is to be asked again soon, and reaches no phone", async (method) => {
    offline();
    const answer = await answered(asks(method, "102"));
    expect([answer.status, header(answer, "Retry-After")]).toEqual([480, "45"]);
    expect(methodsAt(bob)).not.toContain(method);
  });

  test("a phone that asks its server whether it is there hears that the box is", async () => {
    offline();
    const answer = await answered(asks("OPTIONS", "sip:pbx.example"));
    expect([answer.status, header(answer, "Allow")]).toEqual([200, expect.stringContaining("INVITE")]);
    expect((await answered(asks("OPTIONS", "102"))).status).toBe(200);
    expect(methodsAt(bob)).toContain("OPTIONS");
  });

  test("a message on its way when the cloud dies goes to the phone directly once the verdict is there", async () => {
    cut();
    const answer = alice.send(asks("MESSAGE", "102"));
    await site.pass(600);
    expect(methodsAt(bob)).not.toContain("MESSAGE");
    site.setTrunk("down");
    await site.pass(20);
    expect((await answer).status).toBe(200);
    expect(methodsAt(bob)).toContain("MESSAGE");
  });

  test("a subscription on its way is answered then too", async () => {
    cut();
    const answer = alice.send(asks("SUBSCRIBE", "102"));
    await site.pass(600);
    site.setTrunk("down");
    await site.pass(20);
    expect((await answer).status).toBe(480);
  });

  test("a request within a subscription that led to the cloud is not left without an answer, and passes when it is back", async () => {
    const contact = [{ name: "Contact", value: `<sip:notifier@${PBX}>` }];
    site.pbx.intercept = (tx) => {
      if (tx.request.method !== "SUBSCRIBE") return false;
      tx.respond(buildResponse(tx.request, 200, { headers: contact }));
      return true;
    };
    const first = asks("SUBSCRIBE", "102");
    const dialog = alice.dialogOf(first, await answered(first));
    offline();
    expect((await answered(alice.inDialog(dialog, "SUBSCRIBE"))).status).toBe(503);
    site.network.setPaths(BOX, PBX, {});
    site.setTrunk("up");
    site.setMode("normal");
    expect((await answered(alice.inDialog(dialog, "SUBSCRIBE"))).status).toBe(200);
  });
});
