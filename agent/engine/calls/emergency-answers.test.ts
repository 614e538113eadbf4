import { expect, test } from "vitest";
import { buildResponse } from "../../sip/messages/build.ts";
import { headerValues, setHeader } from "../../sip/messages/headers.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import type { PlayedCall } from "./testing/peers.ts";
import { DIRECT, phoneSdp } from "./testing/site.ts";
import { createWorld } from "./testing/world.ts";

const attemptsOf = (world: Awaited<ReturnType<typeof createWorld>>) =>
  world.events_of("emergency.attempt").map(({ trunk, outcome, sip_status }) => `${trunk} ${outcome} ${sip_status}`);

const refusedSound = phoneSdp(DIRECT, "0").replace(/m=audio \d+/, "m=audio 0");

test.each([
  ["describes nothing", {}],
  ["refuses every section", { body: refusedSound, contentType: "application/sdp" }],
  ["cannot be read", { body: "answer: yes\r\n", contentType: "application/sdp" }],
])("an answer that %s is no way to be heard: it is released, and the next route is taken", async (_, parts) => {
  const world = await createWorld();
  world.direct.script = (call) => void call.respond(200, parts);
  const call = world.dial("911");
  await world.advance(50);
  expect(call.final?.status).toBe(200);
  expect(sdpOf(call.final ?? call.request)).toContain("m=audio");
  expect(world.direct.last.acked).toBeDefined();
  expect(world.direct.last.bye).toBeDefined();
  expect(attemptsOf(world)).toEqual([
    "direct trying undefined",
    "direct refused 200",
    "lte-trunk trying undefined",
    "lte-trunk answered 200",
  ]);
});

test("an answer without a description counts when the early media had one", async () => {
  const world = await createWorld();
  world.direct.script = (call) => {
    call.early();
    call.respond(200);
  };
  const call = world.dial("911");
  await world.advance(50);
  expect(call.final?.status).toBe(200);
  expect(sdpOf(call.final ?? call.request)).toContain("m=audio");
  expect(world.lte.calls).toHaveLength(0);
});

/** A 200 with a Contact header of one's own making, and perhaps without To-tag. */
function answerWith(call: PlayedCall, contacts: readonly string[], toTag: string | undefined): void {
  const response = buildResponse(call.request, 200, {
    ...(toTag === undefined ? {} : { toTag }),
    headers: contacts.map((value) => ({ name: "Contact", value })),
    body: phoneSdp(call.peer.address, "0 101"),
    contentType: "application/sdp",
  });
  if (toTag === undefined) {
    setHeader(response, "To", (headerValues(response, "To")[0] ?? "").replace(/;tag=[^;]*/, ""));
  }
  call.tx.respond(response);
}

test.each([
  ["no Contact", [], "t1"],
  ["a Contact that cannot be read", ["<<sip:psap@>"], "t1"],
  ["no To-tag", [`<sip:peer@${DIRECT}:5060>`], undefined],
  ["neither", [], undefined],
] as const)("an answer with %s is bridged, acknowledged, and ended with the caller", async (_, contacts, toTag) => {
  const world = await createWorld();
  world.direct.script = (call) => answerWith(call, contacts, toTag);
  const call = world.dial("911");
  await world.advance(50);
  expect(call.final?.status).toBe(200);
  expect(world.lte.calls).toHaveLength(0);
  expect(world.direct.last.acked).toBeDefined();
  await Promise.all([call.send("BYE"), world.advance(20)]);
  expect(world.direct.inDialog.map(({ method }) => method)).toEqual(["BYE"]);
  expect(headerValues(world.direct.inDialog[0] ?? call.request, "To")[0]?.includes("tag=")).toBe(toTag !== undefined);
});
