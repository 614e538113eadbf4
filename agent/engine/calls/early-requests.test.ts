import { describe, expect, test } from "vitest";
import { fromUac, fromUas, newRequest } from "../../sip/dialogs/dialog.ts";
import { header } from "../../sip/messages/headers.ts";
import type { SipResponse } from "../../sip/messages/message.ts";
import type { PlayedCall } from "./testing/peers.ts";
import { BOX_LAN, phoneSdp } from "./testing/site.ts";
import { createWorld, type World } from "./testing/world.ts";

const withSdp = { body: phoneSdp("10.60.0.10", "0 101"), contentType: "application/sdp" };

/** What a phone's request within its early dialog gets. */
async function fromCaller(world: World, number: string, method: string, parts = {}) {
  const call = world.dial(number);
  await world.advance(20);
  const ringing = call.responses.find(({ status }) => status === 180);
  const dialog = ringing === undefined ? undefined : fromUac(call.request, ringing);
  if (dialog === undefined) throw new Error("no early dialog");
  const flow = world.phone.transport.flowTo({
    ...{ protocol: "udp", address: BOX_LAN, port: 5060 },
    ...{ local_address: world.phone.address, local_port: 5060 },
  } as const);
  const { request } = newRequest(dialog, method, { contact: `<sip:peer@${world.phone.address}:5060>`, ...parts });
  const [response] = await Promise.all([world.phone.request(request, flow), world.advance(30)]);
  return { call, response };
}

/** What a carrier's request within its early dialog gets. */
async function fromCarrier(world: World, on: PlayedCall, method: string, parts = {}): Promise<SipResponse> {
  const dialog = fromUas(on.request, on.respond(180));
  if (dialog === undefined) throw new Error("no early dialog");
  await world.advance(5);
  const { request } = newRequest(dialog, method, { contact: `<sip:peer@${on.peer.address}:5060>`, ...parts });
  const [response] = await Promise.all([on.peer.request(request, on.tx.flow), world.advance(30)]);
  return response;
}

describe("a request within the early dialog of a 911 call", () => {
  test.each([
    ["INVITE", withSdp, 500],
    ["UPDATE", withSdp, 500],
    ["UPDATE", {}, 200],
    ["INFO", {}, 500],
    ["OPTIONS", {}, 200],
  ])("%s of the caller does not make the phone take its call for gone", async (method, parts, status) => {
    const world = await createWorld();
    world.direct.script = (call) => call.ring();
    const { call, response } = await fromCaller(world, "911", method, parts);
    expect(response.status).toBe(status);
    if (status === 500) expect(header(response, "Retry-After")).toBe("2");
    world.direct.last.answer();
    await world.advance(20);
    expect(call.final?.status).toBe(200);
  });

  test.each(["911", "3035550123"])("the caller's BYE ends it as a CANCEL would: %s", async (number) => {
    const world = await createWorld();
    const trunk = number === "911" ? world.direct : world.lte;
    trunk.script = (call) => call.ring();
    const { call, response } = await fromCaller(world, number, "BYE");
    expect(response.status).toBe(200);
    expect(call.final?.status).toBe(487);
    expect(trunk.last.cancelled).toBe(true);
  });

  test.each([
    ["UPDATE", {}, 200],
    ["UPDATE", withSdp, 491],
    ["INVITE", withSdp, 491],
    ["INFO", {}, 500],
  ])("%s of the carrier does not make it take the call for gone", async (method, parts, status) => {
    const world = await createWorld();
    world.direct.script = () => {};
    const call = world.dial("911");
    await world.advance(5);
    const response = await fromCarrier(world, world.direct.last, method, parts);
    expect(response.status).toBe(status);
    world.direct.last.answer();
    await world.advance(20);
    expect(call.final?.status).toBe(200);
  });

  test("a carrier's UPDATE while another number rings gets 200 as well", async () => {
    const world = await createWorld();
    world.lte.script = () => {};
    world.dial("3035550123");
    await world.advance(5);
    expect((await fromCarrier(world, world.lte.last, "UPDATE")).status).toBe(200);
  });

  test("of a leg that is over is unknown", async () => {
    const world = await createWorld();
    world.direct.script = (call) => {
      call.ring();
      call.respond(486);
    };
    world.dial("911");
    await world.advance(20);
    const { last } = world.direct;
    const dialog = fromUas(last.request, last.respond(180));
    if (dialog === undefined) throw new Error("no dialog");
    const { request } = newRequest(dialog, "UPDATE", { contact: "<sip:peer@10.60.0.10>" });
    const [response] = await Promise.all([world.direct.request(request, last.tx.flow), world.advance(30)]);
    expect(response.status).toBe(481);
  });
});

test("the carrier hangs up while its answer waits for the media process: the caller is told", async () => {
  const world = await createWorld();
  world.direct.script = (call) => {
    call.answer();
    call.hangUp();
  };
  const call = world.dial("911", { sdp: "" });
  call.answersWith = phoneSdp(world.phone.address, "0 101");
  await world.advance(200);
  expect(world.events_of("emergency.ended")).toMatchObject([{ ended_by: "psap" }]);
  expect(world.calls.activeEmergency).toBe(false);
});
