import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCops, parseRegistrationAnswer, parseRegistrationReport } from "./registration.ts";

describe("registration", () => {
  test.each([
    ["+CREG: 0,1", "+CREG", "home"],
    ["+CEREG: 1,5", "+CEREG", "roaming"],
    ['+CEREG: 2,1,"5A1E","B2A6E3C",7', "+CEREG", "home"],
    ["+CEREG: 0,3", "+CEREG", "denied"],
    ["+CGREG: 0,2", "+CGREG", "searching"],
    ["+CREG: 0,0", "+CREG", "not_searching"],
    ["+CEREG: 0,4", "+CEREG", "unknown"],
    ["+CEREG: 0,8", "+CEREG", "emergency_only"],
    ["+CREG: 2,6", "+CREG", "searching"],
    ["+CREG: 0,9", "+CREG", "home"],
  ])("the answer %s", (line, command, registration) => {
    expect(parseRegistrationAnswer(line)).toEqual({ command, registration });
  });

  test.each([
    ["+CEREG: 1", "home"],
    ['+CEREG: 5,"5A1E","B2A6E3C",7', "roaming"],
    ["+CREG: 3", "denied"],
    ["+CEREG: 2", "searching"],
    ['+CEREG: 3,,,,0,"00001011"', "denied"],
  ])("the report %s", (line, registration) => {
    expect(parseRegistrationReport(line)).toMatchObject({ registration });
  });

  test("an answer is never taken for a report, nor a report for an answer", () => {
    for (const answer of ["+CREG: 0,1", '+CEREG: 2,1,"5A1E","B2A6E3C",7'])
      expect(parseRegistrationReport(answer)).toBeUndefined();
    for (const report of ["+CREG: 1", '+CEREG: 5,"5A1E","B2A6E3C",7'])
      expect(parseRegistrationAnswer(report)).toBeUndefined();
  });

  test.each(["+CEREG:", "+CEREG: 0,99", "+CEREG: x,1", '+CEREG: 2,"1', "+CEREG", "+XREG: 0,1"])(
    "%s is neither",
    (line) => {
      expect(parseRegistrationAnswer(line)).toBeUndefined();
      expect(parseRegistrationReport(line)).toBeUndefined();
    },
  );
});

describe("operator", () => {
  test.each([
    ['+COPS: 0,0,"Verizon Wireless",7', "Verizon Wireless", "LTE"],
    ['+COPS: 0,2,"310410",11', "310410", "5G NR"],
    ['+COPS: 1,0,"A, B and C",2', "A, B and C", "UMTS"],
    ['+COPS: 0,0,"T-Mobile"', "T-Mobile", undefined],
    ["+COPS: 0", undefined, undefined],
    ['+COPS: 0,0,"",7', undefined, "LTE"],
  ])("%s", (line, name, technology) => {
    expect(parseCops(line)).toEqual({ name, technology });
  });

  test.each(["+COPS: ", '+COPS: 0,0,"open', "+COPS: 9"])("%s is none", (line) =>
    expect(parseCops(line)).toBeUndefined(),
  );
});

test("nothing that comes makes a parser throw", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("", "+CEREG: ", "+COPS: ", "+CREG: 0,"),
      fc.string({ unit: "binary" }),
      (head, tail) => {
        parseRegistrationAnswer(head + tail);
        parseRegistrationReport(head + tail);
        parseCops(head + tail);
      },
    ),
  );
});
