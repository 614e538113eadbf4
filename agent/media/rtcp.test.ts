import { describe, expect, test } from "vitest";
import { rewriteTowardsReceiver, rewriteTowardsSource } from "./rtcp.ts";

const REWRITING = { source_ssrc: 0x11111111, sent_ssrc: 0x22222222, sequenceShift: 10, timestampShift: 1000 };

/** Sender report without blocks, then SDES with a CNAME "a". */
const FROM_SOURCE = "80c80006 11111111 0000000a0000000b 00000064 00000001 000000a0" + "81ca0002 11111111 01016100";
/** Receiver report of 33333333 about 22222222 and about another. */
const FROM_RECEIVER =
  "82c9000d 33333333 22222222 01000002 00010005 00000007 00000000 00000000" +
  "44444444 01000002 00010005 00000007 00000000 00000000";

function packet(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(" ", ""), "hex");
}

describe("RTCP beside a rewritten stream", () => {
  test("the source's reports name the stream that was sent, in its time", () => {
    const bytes = packet(FROM_SOURCE);
    expect(rewriteTowardsReceiver(bytes, REWRITING)).toBe(true);
    expect(bytes).toEqual(packet(FROM_SOURCE.replaceAll("11111111", "22222222").replace("00000064", "0000044c")));
  });

  test("the receiver's report about it comes back as one about the source, in its sequence numbers", () => {
    const bytes = packet(FROM_RECEIVER);
    expect(rewriteTowardsSource(bytes, REWRITING)).toBe(true);
    const expected = FROM_RECEIVER.replace("22222222", "11111111").replace("00010005", "0000fffb");
    expect(bytes).toEqual(packet(expected));
  });

  test("a goodbye of the source does not end the stream that goes on", () => {
    expect(rewriteTowardsReceiver(packet("81cb0001 11111111"), REWRITING)).toBe(false);
  });

  test.each([
    ["a length past the end", "80c80006 11111111"],
    ["a tail that is no packet", "80c90001 11111111 80"],
    ["another version", "40c90001 11111111"],
  ])("%s goes nowhere", (_name, hex) => {
    expect(rewriteTowardsReceiver(packet(hex), REWRITING)).toBe(false);
    expect(rewriteTowardsSource(packet(hex), REWRITING)).toBe(false);
  });
});
