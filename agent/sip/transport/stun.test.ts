import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answerBinding, bindingRequest, looksLikeStun, parseStun } from "./stun.ts";

const TRANSACTION = "b7e7a701bc34d686fa87dfae";

/** RFC 5769 §2.2 and §2.3: sample responses, IPv4 and IPv6. */
const SAMPLE_IPV4 = `0101003c2112a442${TRANSACTION}8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96`;
const SAMPLE_IPV6 = `010100482112a442${TRANSACTION}8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c`;
const bytes = (hex: string): Uint8Array => Buffer.from(hex, "hex");

describe("answers of others", () => {
  test.each([
    ["IPv4", SAMPLE_IPV4, "192.0.2.1"],
    ["IPv6", SAMPLE_IPV6, "2001:db8:1234:5678:11:2233:4455:6677"],
  ])("the RFC's sample response over %s is read", (_, hex, address) => {
    expect(parseStun(bytes(hex))).toEqual({
      type: "success",
      transaction: TRANSACTION,
      mapped: { address, port: 32853 },
      unknown: [],
    });
  });

  test("an old server's MAPPED-ADDRESS counts where there is no other", () => {
    const hex = `0101000c2112a442${TRANSACTION}000100080001${(32853).toString(16)}c0000201`;
    expect(parseStun(bytes(hex))?.mapped).toEqual({ address: "192.0.2.1", port: 32853 });
  });
});

describe("our answers", () => {
  test.each([
    ["192.0.2.1", 32853],
    ["2001:db8::1:2", 5060],
    ["::1", 65535],
  ])("%s port %i finds itself in them", (address, port) => {
    const request = parseStun(bindingRequest(TRANSACTION));
    expect(request).toMatchObject({ type: "request", transaction: TRANSACTION });
    const answer = request === undefined ? undefined : answerBinding(request, { address, port });
    expect(answer === undefined ? undefined : parseStun(answer)).toEqual({
      type: "success",
      transaction: TRANSACTION,
      mapped: { address, port },
      unknown: [],
    });
  });

  test("an attribute that must be understood and is not gets a 420 that names it (RFC 8489 §6.3.1)", () => {
    const request = parseStun(bytes(`000100082112a442${TRANSACTION}7ffe00040000abcd`));
    const answer = request === undefined ? undefined : answerBinding(request, { address: "192.0.2.1", port: 1 });
    const hex = answer === undefined ? "" : Buffer.from(answer).toString("hex");
    expect(hex).toBe(`011100102112a442${TRANSACTION}0009000400000414000a00027ffe0000`);
  });

  test("an answer is not answered", () => {
    const answer = parseStun(bytes(SAMPLE_IPV4));
    expect(answer === undefined ? "" : answerBinding(answer, { address: "192.0.2.1", port: 1 })).toBeUndefined();
  });
});

describe("hostile bytes", () => {
  test.each([
    ["shorter than a header", `000100002112a442${TRANSACTION.slice(2)}`],
    ["another magic cookie", `00010000deadbeef${TRANSACTION}`],
    ["a length that does not fit", `000100082112a442${TRANSACTION}`],
    ["an attribute that runs over the end", `000100042112a442${TRANSACTION}0020ffff`],
    ["another method", `000300002112a442${TRANSACTION}`],
    ["longer than any keep-alive", `000102582112a442${TRANSACTION}${"8022000000".repeat(120)}`],
  ])("%s is nothing", (_, hex) => expect(parseStun(bytes(hex))).toBeUndefined());

  test("no bytes throw, and no SIP message is taken for STUN", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (random) => {
        parseStun(random);
        const dressed = Uint8Array.from([
          ...bytes(`0001${random.length.toString(16).padStart(4, "0")}2112a442${TRANSACTION}`),
          ...random,
        ]);
        const read = parseStun(dressed);
        if (read !== undefined) answerBinding(read, { address: "192.0.2.1", port: 5060 });
      }),
    );
    expect(looksLikeStun(Buffer.from("OPTIONS sip:a@b SIP/2.0\r\n"))).toBe(false);
    expect(looksLikeStun(Buffer.from("\r\n\r\n"))).toBe(false);
  });
});
