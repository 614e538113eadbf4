import { encode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answersQuestion, encodeQuestion, readAnswer, readPacket } from "./dns-answer.ts";

const question = { name: "trunk.example", type: "SRV" } as const;

const honest = encode({
  type: "response",
  id: 7,
  questions: [question],
  answers: Array.from({ length: 20 }, (_, i) => ({
    type: "SRV" as const,
    name: question.name,
    ttl: 60,
    data: { priority: i, weight: 1, port: 5060, target: `h${i}.trunk.example` },
  })),
});

/** Names that point at names that point at names, and as many records as fit that begin at the end of the chain. */
function pointerMaze(size: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt16BE(7, 0);
  bytes.writeUInt16BE(0x8000, 2);
  let at = 12;
  const record = (length: number) => {
    bytes.writeUInt16BE(65_280, at);
    bytes.writeUInt16BE(1, at + 2);
    bytes.writeUInt16BE(length, at + 8);
    at += 10;
  };
  const links = Math.floor(Math.min(size, 0x3fff) / 4);
  at += 1;
  record(links * 2 + 1);
  let last = at++;
  for (let n = 0; n < links; n++, at += 2) {
    bytes.writeUInt16BE(0xc000 | last, at);
    last = at;
  }
  let count = 1;
  for (; at + 12 <= size; count++) {
    bytes.writeUInt16BE(0xc000 | last, at);
    at += 2;
    record(0);
  }
  bytes.writeUInt16BE(count, 6);
  return bytes;
}

describe("what a name server sends", () => {
  test("is read in the order in which it stands", () => {
    const reading = readAnswer(honest, question);
    expect(reading).toMatchObject({ kind: "found", ttl_s: 60, records: { type: "SRV" } });
  });

  test("no bytes throw, and none make a target that is no name, or a port that is none", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 800 }),
        fc.array(fc.tuple(fc.nat(honest.length - 1), fc.nat(255)), { maxLength: 12 }),
        (noise, bends) => {
          readAnswer(noise, question);
          answersQuestion(noise, 7, question);
          const bent = Buffer.from(honest);
          for (const [at, value] of bends) bent[at] = value;
          const reading = readAnswer(bent, question);
          if (reading.kind !== "found" || reading.records.type !== "SRV") return;
          for (const { target, port, priority, weight } of reading.records.srv) {
            expect(target).toMatch(/^$|^[a-z0-9_.-]{1,253}$/);
            for (const number of [port, priority, weight]) expect(number >= 0 && number <= 65_535).toBe(true);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("a maze of pointers that is too large is not entered", () => {
    expect(readPacket(pointerMaze(4_096))?.answers?.length).toBeGreaterThan(100);
    expect(readPacket(pointerMaze(65_535))).toBeUndefined();
  });

  test("our question asks for recursion, and takes back what no path fragments", () => {
    const packet = readPacket(encodeQuestion(7, question));
    expect(packet).toMatchObject({ id: 7, flag_rd: true, questions: [question] });
    expect(packet?.additionals).toMatchObject([{ type: "OPT", udpPayloadSize: 1_232 }]);
  });
});
