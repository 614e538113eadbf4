import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest } from "../messages/build.ts";
import type { Flow } from "./flow.ts";
import { MemoryNetwork } from "./memory-network.ts";
import { type LentTransport, StandingTransport } from "./standing-transport.ts";

const BOX = "192.0.2.1";
const PHONE = "192.0.2.2";
const AT = { protocol: "tcp", address: BOX, port: 5060 } as const;

const settle = () => new Promise((resolve) => setImmediate(resolve));

function request(method: string) {
  const ends = { from: "<sip:a@a>;tag=1", to: "<sip:b@b>", callId: "1", cseq: 1, via: `SIP/2.0/TCP ${PHONE}` };
  return buildRequest({ ...ends, method, uri: "sip:b@b" });
}

async function standing() {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const transport = new StandingTransport(network.transport());
  const phone = network.transport();
  const closed: Flow[] = [];
  phone.onFlowClosed((flow) => void closed.push(flow));
  const flowTo = (port: number) => phone.flowTo({ protocol: "tcp", address: BOX, port, local_address: PHONE });
  const use = () => {
    const got: string[] = [];
    const lent = transport.lend();
    lent.onMessage((message, flow) => {
      if (message.kind === "request") got.push(`${message.method} by ${flow.id}`);
    });
    return { lent, got };
  };
  const pass = async () => {
    for (let i = 0; i < 3; i++) {
      clock.advance(10);
      await settle();
    }
  };
  const sends = async (flow: Flow, method: string) => {
    phone.send(flow, request(method));
    await pass();
  };
  return { transport, closed, flowTo, use, pass, sends };
}

const methods = (got: readonly string[]) => got.map((each) => each.split(" ")[0]);
const connections = (...all: readonly (readonly string[])[]) =>
  new Set(all.flat().map((each) => each.split(" by ")[1])).size;

describe("a transport that outlives its users", () => {
  test("a connection stands while one follows the other, and what came between waits for the next", async () => {
    const { closed, flowTo, use, sends, pass } = await standing();
    const first = use();
    await first.lent.listen(AT);
    const flow = flowTo(5060);
    await sends(flow, "REGISTER");
    await first.lent.shutdown();
    await sends(flow, "INVITE");
    const second = use();
    await second.lent.listen(AT);
    await pass();
    await sends(flow, "OPTIONS");
    expect(methods(first.got)).toEqual(["REGISTER"]);
    expect(methods(second.got)).toEqual(["INVITE", "OPTIONS"]);
    expect(connections(first.got, second.got)).toBe(1);
    expect(closed).toEqual([]);
  });

  test("what nobody listens on any more is closed, with the connections that came in by it", async () => {
    const { transport, closed, flowTo, use, sends, pass } = await standing();
    const first = use();
    await first.lent.listen(AT);
    await first.lent.listen({ ...AT, port: 5070 });
    const [kept, dropped] = [flowTo(5060), flowTo(5070)];
    await sends(kept, "REGISTER");
    await sends(dropped, "REGISTER");
    await first.lent.shutdown();
    const second = use();
    await second.lent.listen(AT);
    await transport.dropUnused();
    await pass();
    expect(closed).toEqual([dropped]);
    expect(kept.closed).toBe(false);
  });

  test("a message that is put aside comes again: to the next user, or when it is asked for", async () => {
    const { flowTo, use, sends, pass } = await standing();
    const first = use();
    const held: string[] = [];
    const hold = (lent: LentTransport) => {
      let once = true;
      lent.onMessage((message, flow) => {
        if (message.kind !== "request" || !once) return;
        once = false;
        held.push(message.method);
        lent.hold(message, flow);
      });
    };
    hold(first.lent);
    await first.lent.listen(AT);
    await sends(flowTo(5060), "REGISTER");
    expect([held, methods(first.got)]).toEqual([["REGISTER"], ["REGISTER"]]);
    first.lent.deliver();
    await pass();
    expect(methods(first.got)).toEqual(["REGISTER", "REGISTER"]);
  });

  test("who is gone sends nothing more, and is told so", async () => {
    const { flowTo, use, sends } = await standing();
    const first = use();
    await first.lent.listen(AT);
    let seen: Flow | undefined;
    first.lent.onMessage((_, flow) => {
      seen = flow;
    });
    await sends(flowTo(5060), "REGISTER");
    await first.lent.shutdown();
    const errors: string[] = [];
    if (seen === undefined) throw new Error("nothing came");
    first.lent.send(seen, request("NOTIFY"), ({ code }) => void errors.push(code));
    await settle();
    expect(errors).toEqual(["ECLOSED"]);
  });
});
