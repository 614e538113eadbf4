import { describe, expect, test } from "vitest";
import { cseqOf, header } from "../../../sip/messages/headers.ts";
import { readSdp, sdpOf } from "../../../sip/messages/sdp.ts";
import { BOX_LAN, BOX_LTE, DIRECT, PHONE } from "../testing/site.ts";
import { createWorld } from "../testing/world.ts";

/** An answered 911 call over the trunk on the WAN, whose provider can be reached over LTE too. */
async function answered() {
  const world = await createWorld({ detour: true });
  const call = world.dial("911");
  await world.advance(50);
  expect(call.final?.status).toBe(200);
  const cut = async () => {
    world.network.setPaths(BOX_LAN, DIRECT, { cut: "black-hole" });
    world.verdict(world.wan, "down");
    await world.advance(50);
  };
  return { world, call, cut };
}

describe("an answered 911 call whose path dies", () => {
  test("goes on over LTE with the same trunk's peer: one offer in its own dialog, sound joined to the caller's", async () => {
    const { world, call, cut } = await answered();
    const first = world.direct.last.request;
    await cut();
    const asked = world.direct.inDialog.at(-1);
    if (asked === undefined) throw new Error("the provider was not asked");
    expect(asked.method).toBe("INVITE");
    expect(header(asked, "Call-ID")).toBe(header(first, "Call-ID"));
    expect(cseqOf(asked)?.seq).toBe((cseqOf(first)?.seq ?? 0) + 1);
    expect(header(asked, "Contact")).toContain(`@${BOX_LTE}:5072`);
    const offer = readSdp(sdpOf(asked) ?? "");
    expect(offer.media[0]?.address).toBe(BOX_LTE);
    expect(offer.origin?.sessionVersion).toBe("2");
    // Not all that the phone can, but what the two had agreed on; and the phone is asked nothing.
    expect(offer.media[0]?.formats).toEqual(["0", "101"]);
    expect(world.phone.inDialog).toEqual([]);
    expect(world.direct.last.acks).toBe(2);
    expect(world.relay.log.at(-1)).toMatch(/^bridge .*-caller-0|-caller-0$/);
    expect([...world.relay.endpoints.values()].map((each) => each.local_address).sort()).toEqual([BOX_LAN, BOX_LTE]);
    expect(world.events_of("call.moved")).toMatchObject([{ from_path: "wan", path: "lte" }]);
    // Sound flows, so nobody is told to dial again, and hanging up goes by LTE.
    await world.advance(6000);
    expect(world.relay.log.filter((line) => line.includes("dial-again"))).toEqual([]);
    void call.send("BYE");
    await world.advance(50);
    expect(world.direct.last.bye).toBeDefined();
    expect(world.calls.activeEmergency).toBe(false);
  });

  test("tells the caller's phone where the provider speaks otherwise than before", async () => {
    const { world, cut } = await answered();
    world.direct.inDialogFormats = "8 101";
    await cut();
    const told = world.phone.inDialog.find(({ method }) => method === "INVITE");
    const description = readSdp(told === undefined ? "" : (sdpOf(told) ?? ""));
    expect(description.media[0]).toMatchObject({ address: BOX_LAN, formats: ["8", "101"] });
  });

  test("that its provider does not take over LTE tells the caller to dial again", async () => {
    const { world, cut } = await answered();
    world.direct.inDialogStatus = 403;
    world.relay.silent.add("*");
    await cut();
    await world.advance(5000);
    expect(world.events_of("call.moved")).toEqual([]);
    expect(world.relay.log.filter((line) => line.includes("dial-again"))).toHaveLength(1);
    expect([...world.relay.endpoints.values()].every((each) => each.local_address === BOX_LAN)).toBe(true);
    expect(world.calls.activeEmergency).toBe(true);
  });

  test("is known to a restarted engine on its new path", async () => {
    const { world, call, cut } = await answered();
    await cut();
    await world.restart();
    const before = world.direct.inDialog.length;
    void call.send("BYE");
    await world.advance(50);
    expect(world.direct.inDialog.slice(before).map(({ method }) => method)).toEqual(["BYE"]);
    expect(world.events_of("emergency.ended")).toHaveLength(1);
  });

  test.each([false, true])(
    "leaves it by silence, where no verdict on the path comes; engine restarted: %s",
    async (restarted) => {
      const { world } = await answered();
      await world.advance(4000);
      const before = world.wan.suspicions;
      world.relay.silent_ms = 700;
      world.network.setPaths(BOX_LAN, DIRECT, { cut: "black-hole" });
      if (restarted) await world.restart();
      await world.advance(450);
      // What the silence sets off: the path is asked, and so is the trunk, and neither answers.
      expect(world.wan.suspicions).toBeGreaterThan(before);
      world.verdict(world.wan, "suspect");
      world.trunk("direct").state = "suspect";
      await world.advance(450);
      expect(world.events_of("call.moved")).toEqual([]);
      world.relay.silent_ms = 1_100;
      await world.advance(450);
      expect(world.events_of("call.moved")).toMatchObject([{ from_path: "wan", path: "lte" }]);
    },
  );

  test("tells the caller to dial again when its new path dies too, and the redial leaves that one out", async () => {
    const { world, cut } = await answered();
    await cut();
    world.verdict(world.wan, "up");
    await world.advance(5000);
    world.network.setPaths(BOX_LTE, DIRECT, { cut: "black-hole" });
    world.direct.inDialogStatus = 403;
    world.network.setPaths(BOX_LAN, DIRECT, { cut: "none" });
    world.relay.silent.add("*");
    world.verdict(world.ltePath, "down");
    await world.advance(5000);
    expect(world.relay.log.filter((line) => line.includes("dial-again"))).toHaveLength(1);
    world.verdict(world.ltePath, "up");
    const calls = world.direct.calls.length;
    world.dial("911");
    await world.advance(50);
    expect(world.direct.calls).toHaveLength(calls + 1);
  });

  test.each([491, 500, 503])("asks again soon where its provider says %s", async (status) => {
    const { world, cut } = await answered();
    world.direct.inDialogStatus = status;
    await cut();
    expect(world.events_of("call.moved")).toEqual([]);
    world.direct.inDialogStatus = 200;
    await world.advance(800);
    expect(world.events_of("call.moved")).toHaveLength(1);
  });

  test("asks again where the media process was not there", async () => {
    const { world, cut } = await answered();
    world.relay.connected = false;
    await cut();
    world.relay.connected = true;
    await world.advance(800);
    expect(world.events_of("call.moved")).toHaveLength(1);
  });

  test("lets the PSAP hang up over LTE: the Contact leads there", async () => {
    const { world, cut } = await answered();
    await cut();
    world.verdict(world.wan, "up");
    const target = header(world.direct.inDialog.at(-1) ?? world.direct.last.request, "Contact") ?? "";
    expect(target).not.toContain(PHONE);
    world.network.setPaths(BOX_LAN, DIRECT, { cut: "none" });
    world.direct.last.hangUp();
    await world.advance(50);
    expect(world.calls.activeEmergency).toBe(false);
  });
});
