import { expect, test } from "vitest";
import { answerStun } from "./stun-responder.ts";

/** The request and response parts of RFC 5769 §2.1 and §2.2 that carry no credentials. */
const TRANSACTION = Buffer.from("b7e7a701bc34d686fa87dfae", "hex");
const REQUEST = Buffer.concat([Buffer.from("000100002112a442", "hex"), TRANSACTION]);

test("a binding request gets its own address back, masked as in RFC 5769", () => {
  const answer = answerStun(REQUEST, "192.0.2.1", 32853);
  expect(Buffer.from(answer ?? []).toString("hex")).toBe(
    `0101000c2112a442${TRANSACTION.toString("hex")}002000080001a147e112a643`,
  );
});

test("anything else gets no answer", () => {
  expect(answerStun(REQUEST.subarray(0, 19), "192.0.2.1", 1)).toBeUndefined();
  expect(answerStun(Buffer.alloc(20), "192.0.2.1", 1)).toBeUndefined();
  expect(answerStun(Buffer.concat([Buffer.from("0101", "hex"), REQUEST.subarray(2)]), "192.0.2.1", 1)).toBeUndefined();
});
