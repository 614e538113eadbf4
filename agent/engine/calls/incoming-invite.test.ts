import { describe, expect, test } from "vitest";
import { fromUac, newRequest } from "../../sip/dialogs/dialog.ts";
import { cseqOf, header } from "../../sip/messages/headers.ts";
import type { SipResponse } from "../../sip/messages/message.ts";
import { BOX_LAN } from "./testing/site.ts";
import { createWorld, type World } from "./testing/world.ts";

/** A 911 call that rings at the trunk, by a phone that wants to acknowledge each provisional response. */
async function ringing(world: World) {
  world.direct.script = (call) => call.ring();
  const call = world.dial("911", { headers: [{ name: "Require", value: "100rel" }] });
  await world.advance(20);
  const rings = () => call.responses.filter(({ status }) => status === 180);
  const [first] = rings();
  if (first === undefined) throw new Error("it does not ring");
  const dialog = fromUac(call.request, first);
  if (dialog === undefined) throw new Error("no early dialog");
  const flow = { protocol: "udp", address: BOX_LAN, port: 5060, local_address: world.phone.address } as const;
  /** Status of the answer to a PRACK with this RAck. */
  const prack = async (rack: string): Promise<number> => {
    let answer: SipResponse | undefined;
    const { request } = newRequest(dialog, "PRACK", { headers: [{ name: "RAck", value: rack }] });
    const to = world.phone.transport.flowTo({ ...flow, local_port: 5060 });
    void world.phone.request(request, to).then((response) => {
      answer = response;
    });
    await world.advance(5);
    if (answer === undefined) throw new Error("the PRACK is not answered");
    return answer.status;
  };
  return { call, rings, prack, right: `1 ${cseqOf(call.request)?.seq} INVITE` };
}

describe("a reliable provisional response of the box (RFC 3262 §3)", () => {
  test("is repeated from T1 on, doubling, until its PRACK", async () => {
    const { world, rings, prack, right } = await start();
    await world.advance(500);
    expect(rings()).toHaveLength(2);
    await world.advance(900);
    expect(rings()).toHaveLength(2);
    await world.advance(200);
    expect(rings()).toHaveLength(3);
    expect(rings().map((response) => header(response, "RSeq"))).toEqual(["1", "1", "1"]);
    expect(await prack(right)).toBe(200);
    await world.advance(20_000);
    expect(rings()).toHaveLength(3);
  });

  test("is repeated for 64*T1 at most, and who never acknowledges it still has the call", async () => {
    const { world, call, rings } = await start();
    await world.advance(40_000);
    const count = rings().length;
    expect(count).toBe(7);
    await world.advance(40_000);
    expect(rings()).toHaveLength(count);
    world.direct.last.answer();
    await world.advance(20);
    expect(call.final?.status).toBe(200);
  });

  test.each(["2 1 INVITE", "1 2 INVITE", "1 1 UPDATE", "1", "", "x"])(
    "a PRACK with RAck %j is none of it: 481, and the repetition goes on",
    async (rack) => {
      const { world, rings, prack } = await start();
      expect(await prack(rack)).toBe(481);
      await world.advance(500);
      expect(rings()).toHaveLength(2);
    },
  );

  test("a second PRACK finds nothing: 481; the call is none the worse", async () => {
    const { world, call, prack, right } = await start();
    expect([await prack(right), await prack(right)]).toEqual([200, 481]);
    world.direct.last.answer();
    await world.advance(20);
    expect(call.final?.status).toBe(200);
  });
});

async function start() {
  const world = await createWorld();
  return { world, ...(await ringing(world)) };
}
