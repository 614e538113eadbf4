import { beforeEach, describe, expect, test } from "vitest";
import { AlarmBoard } from "../../base/alarms.ts";
import { silentLog } from "../../base/log.ts";
import { buildRequest } from "../../sip/messages/build.ts";
import { readSdp, sdpOf } from "../../sip/messages/sdp.ts";
import { NotedRelay } from "../testing/memory-site.ts";
import { type MediaParties, type MediaSide, ProxyMedia } from "./proxy-media.ts";

const PARTIES: MediaParties = {
  phone: { local_address: "10.20.0.5", signalling_address: "10.20.0.101" },
  trunk: { local_address: "192.0.2.5", signalling_address: "203.0.113.10" },
};
const LEG = "leg";

let relay: NotedRelay;
let media: ProxyMedia;
beforeEach(() => {
  relay = new NotedRelay();
  const alarms = new AlarmBoard(
    () => 0,
    () => {},
  );
  media = new ProxyMedia({ relay, alarms, log: silentLog });
});

const description = (address: string, ...lines: string[]) =>
  ["v=0", `o=- 1 1 IN IP4 ${address}`, "s=-", `c=IN IP4 ${address}`, "t=0 0", ...lines, ""].join("\r\n");

/** Sends a description from one side and returns what the other one gets. */
async function says(from: MediaSide, sdp: string, toTag?: string): Promise<string> {
  const message = buildRequest({
    method: "INVITE",
    uri: "sip:102@pbx.example",
    from: "<sip:101@pbx.example>;tag=1",
    to: `<sip:102@pbx.example>${toTag === undefined ? "" : `;tag=${toTag}`}`,
    callId: "1",
    cseq: 1,
    body: sdp,
    contentType: "application/sdp",
  });
  return new Promise((resolve) => media.pass(LEG, from, PARTIES, message, (passed) => resolve(sdpOf(passed) ?? "")));
}

const phoneSays = (...lines: string[]) => says("phone", description("10.20.0.101", ...lines));
const trunkSays = (...lines: string[]) => says("trunk", description("203.0.113.20", ...lines));

function portOf(sdp: string, line = 0): number {
  return readSdp(sdp).media[line]?.port ?? -1;
}

/** Where the relay sends for a side of a line. */
const peer = (side: MediaSide, line = 0) => relay.endpoints.get(`proxied-${LEG}-${line}-${side}`)?.peer;

describe("which media goes through the relay", () => {
  test("sound, pictures, text and fax by UDP do, whatever is in their packets; the rest of the description stays", async () => {
    const lines = [
      ...["m=audio 30000 RTP/SAVP 0 101", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZi"],
      ...[
        "m=video 30002 UDP/TLS/RTP/SAVPF 96",
        "m=image 30004 udptl t38",
        "a=T38FaxVersion:0",
        "m=text 30006 RTP/AVP 98",
      ],
    ];
    const passed = await phoneSays(...lines);
    const ports = readSdp(passed).media.map(({ port }) => port);
    expect(new Set(ports).size).toBe(4);
    expect(ports.every((port) => port < 30_000 || port > 30_006)).toBe(true);
    const expected = lines.reduce(
      (text, line) =>
        text.replace(
          line,
          line.replace(/^(m=\w+ )[0-9]+/, (_, head) => `${head}${ports.shift()}`),
        ),
      description("10.20.0.101", ...lines).replace("c=IN IP4 10.20.0.101", "c=IN IP4 192.0.2.5"),
    );
    expect(passed).toBe(expected);
    expect([...relay.endpoints.values()].every(({ opaque }) => opaque === true)).toBe(true);
  });

  test("what goes by TCP, and what is disabled, is left as it is", async () => {
    const passed = await phoneSays(
      ...["m=audio 30000 RTP/AVP 0", "m=video 0 RTP/AVP 96"],
      ...["m=message 2855 TCP/MSRP *", "m=image 5000 tcp t38", "m=application 6000 TCP/BFCP *"],
    );
    const kept = readSdp(passed).media.slice(1);
    expect(kept.map(({ port }) => port)).toEqual([0, 2855, 5000, 6000]);
    expect(kept.every(({ address }) => address === "10.20.0.101")).toBe(true);
    expect(relay.endpoints.size).toBe(2);
  });

  test("sections that share a port go on sharing one (BUNDLE)", async () => {
    const group = ["a=group:BUNDLE a v"];
    const offer = await phoneSays(
      ...group,
      "m=audio 30000 RTP/AVP 0",
      "a=mid:a",
      "m=video 30002 RTP/AVP 96",
      "a=mid:v",
    );
    expect(portOf(offer, 0)).not.toBe(portOf(offer, 1));
    const answer = await trunkSays(...group, "m=audio 7000 RTP/AVP 0", "a=mid:a", "m=video 7000 RTP/AVP 96", "a=mid:v");
    expect(portOf(answer, 0)).toBe(portOf(answer, 1));
    expect(portOf(answer, 0)).toBe(relay.endpoints.get(`proxied-${LEG}-0-phone`)?.port);
  });

  test("an address of a family that the box has not got there: its signalling's is the best guess", async () => {
    await says("phone", description("10.20.0.101", "m=audio 30000 RTP/AVP 0", "c=IN IP6 2001:db8::7"));
    expect(peer("phone")).toMatchObject({ address: "10.20.0.101", port: 30_000 });
  });
});

describe("where a side is", () => {
  test("on hold by the unspecified address (RFC 3264 §8.4): nowhere, and not where its signalling comes from", async () => {
    await phoneSays("m=audio 30000 RTP/AVP 0");
    expect(peer("phone")?.port).toBe(30_000);
    await says("phone", description("0.0.0.0", "m=audio 30000 RTP/AVP 0"));
    expect(peer("phone")?.port).toBe(0);
    await phoneSays("m=audio 30000 RTP/AVP 0");
    expect(peer("phone")?.port).toBe(30_000);
  });

  test("before its answer: wherever its signalling is, heard and sent nothing", async () => {
    await phoneSays("m=audio 30000 RTP/AVP 0");
    expect(peer("trunk")).toEqual({
      address: "203.0.113.10",
      port: 0,
      accept_from: ["203.0.113.10", "192.0.2.5"],
    });
    await trunkSays("m=audio 7000 RTP/AVP 0");
    expect(peer("trunk")).toMatchObject({ address: "203.0.113.20", port: 7000 });
  });

  test("what ICE's checks saw of it at the other end is the relay, and nothing new", async () => {
    await phoneSays("m=audio 30000 RTP/AVP 0");
    await trunkSays("m=audio 7000 RTP/AVP 0");
    const seen = relay.endpoints.get(`proxied-${LEG}-0-phone`)?.port ?? 0;
    await says("phone", description(PARTIES.phone.local_address, `m=audio ${seen} RTP/AVP 0`));
    await says("trunk", description(PARTIES.phone.local_address, `m=audio ${seen} RTP/AVP 0`));
    expect(peer("phone")).toMatchObject({ address: "10.20.0.101", port: 30_000 });
    expect(peer("trunk")).toMatchObject({ address: "203.0.113.20", port: 7000 });
  });
});

test("a telephone on the box's own machine is where it says", async () => {
  for (const address of [PARTIES.phone.local_address, "0.0.0.0", PARTIES.phone.local_address]) {
    await says("phone", description(address, "m=audio 4000 RTP/AVP 0"));
  }
  expect(peer("phone")).toMatchObject({ address: PARTIES.phone.local_address, port: 4000 });
});

describe("RTCP on the RTP port", () => {
  test("once both sides say so it counts for both, whoever said it first", async () => {
    await phoneSays("m=audio 30000 RTP/AVP 0", "a=rtcp-mux");
    expect(peer("phone")?.rtcp_port).toBeUndefined();
    await trunkSays("m=audio 7000 RTP/AVP 0", "a=rtcp-mux");
    expect([peer("phone")?.rtcp_port, peer("trunk")?.rtcp_port]).toEqual([30_000, 7000]);
  });

  test("not when one side does not", async () => {
    await phoneSays("m=audio 30000 RTP/AVP 0", "a=rtcp-mux");
    await trunkSays("m=audio 7000 RTP/AVP 0", "a=rtcp:7100");
    expect([peer("phone")?.rtcp_port, peer("trunk")?.rtcp_port]).toEqual([undefined, 7100]);
  });
});

describe("an offer in an established call", () => {
  beforeEach(async () => {
    await phoneSays("m=audio 30000 RTP/AVP 0");
    await trunkSays("m=audio 7000 RTP/AVP 0");
  });

  test("that adds fax gets ports for it, and gives them a peer on either side", async () => {
    const offer = await trunkSays("m=audio 0 RTP/AVP 0", "m=image 7002 udptl t38");
    const answer = await phoneSays("m=audio 0 RTP/AVP 0", "m=image 30002 udptl t38");
    expect([portOf(offer, 0), portOf(answer, 0)]).toEqual([0, 0]);
    expect([peer("trunk", 1)?.port, peer("phone", 1)?.port]).toEqual([7002, 30_002]);
    expect(relay.bridges).toContainEqual([`proxied-${LEG}-1-phone`, `proxied-${LEG}-1-trunk`]);
  });

  test("that turns the sound's section into fax keeps the ports", async () => {
    const before = relay.endpoints.get(`proxied-${LEG}-0-phone`)?.port;
    expect(portOf(await trunkSays("m=image 7002 udptl t38"))).toBe(before);
    expect(peer("trunk")?.port).toBe(7002);
  });

  test("that is refused leaves everything as it was", async () => {
    const refused = media.offered(LEG, "trunk");
    await trunkSays("m=image 7002 udptl t38");
    refused();
    expect([peer("trunk")?.port, peer("phone")?.port]).toEqual([7000, 30_000]);
  });

  test("that is refused before the answer does not come back with it", async () => {
    const early = (sdp: string) => says("phone", sdp, "callee");
    await early(description("10.20.0.101", "m=audio 30200 RTP/AVP 0"));
    const refused = media.offered(LEG, "phone");
    await early(description("10.20.0.101", "m=audio 30300 RTP/AVP 0"));
    refused();
    media.counts(LEG, "1 callee");
    expect(peer("phone")?.port).toBe(30_200);
  });

  test("two that cross and are both refused (491) leave everything as it was", async () => {
    const first = media.offered(LEG, "phone");
    await phoneSays("m=audio 30100 RTP/AVP 0");
    const second = media.offered(LEG, "trunk");
    await trunkSays("m=audio 7100 RTP/AVP 0");
    first();
    second();
    expect([peer("trunk")?.port, peer("phone")?.port]).toEqual([7000, 30_000]);
  });
});
