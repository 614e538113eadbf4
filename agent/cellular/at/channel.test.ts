import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ByteStream, fromBytes, memoryCable, toBytes } from "../../base/byte-stream.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { parseRegistrationAnswer } from "../parse/registration.ts";
import { ANY_LINE, AtChannel, type AtResult } from "./channel.ts";

let clock: ManualClock;
let device: ByteStream;
let channel: AtChannel;
/** What the modem got, and what was unsolicited. */
let sent: string;
let news: (string | readonly [string, string])[];
const results: AtResult[] = [];

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const settle = async (ms = 0) => {
  clock.advance(ms);
  await turn();
  clock.advance(0);
  await turn();
};
const says = async (...lines: string[]) => {
  device.write(toBytes(lines.map((line) => `\r\n${line}\r\n`).join("")));
  await settle();
};
const ask = (text: string, more = {}) => {
  void channel.send({ text, ...more }).then((result) => results.push(result));
};
/** What was sent since the last look. */
const took = async () => {
  await settle();
  const text = sent;
  sent = "";
  return text;
};

beforeEach(() => {
  clock = new ManualClock();
  const [ours, theirs] = memoryCable(clock);
  device = theirs;
  sent = "";
  news = [];
  results.length = 0;
  device.onData((bytes) => {
    sent += fromBytes(bytes);
  });
  channel = new AtChannel({
    stream: ours,
    clock,
    onUnsolicited: (line, text) => news.push(text === undefined ? line : [line, text]),
  });
});
afterEach(() => channel.close());

describe("one command at a time", () => {
  test("the next is sent when the one before has its result", async () => {
    ask("AT+CSQ");
    ask("AT+CMEE=1");
    expect(await took()).toBe("AT+CSQ\r");
    await says("+CSQ: 20,99", "OK");
    expect(results).toEqual([{ type: "ok", lines: ["+CSQ: 20,99"] }]);
    expect(await took()).toBe("AT+CMEE=1\r");
    await says("OK");
    expect(results).toHaveLength(2);
  });

  test("errors keep their number", async () => {
    ask("AT+CPIN?");
    await says("+CME ERROR: 10");
    ask("AT+CMGS=1");
    await says("+CMS ERROR: 500");
    ask("AT+NO");
    await says("ERROR");
    ask("AT+CPIN?");
    await says("+CME ERROR: SIM not inserted");
    expect(results).toMatchObject([
      { type: "error", cme: 10 },
      { type: "error", cms: 500, cme: undefined },
      { type: "error", text: "ERROR" },
      { type: "error", cme: undefined, text: "+CME ERROR: SIM not inserted" },
    ]);
  });

  test("an echo is not an answer", async () => {
    ask("AT+CGMM", { accepts: ANY_LINE });
    device.write(toBytes("AT+CGMM\r\r\nSIMCOM_SIM7600G-H\r\n\r\nOK\r\n"));
    await settle();
    expect(results).toEqual([{ type: "ok", lines: ["SIMCOM_SIM7600G-H"] }]);
  });

  test("lines may come in pieces and with any line end", async () => {
    ask("AT+CSQ");
    for (const piece of ["\r", "\r\n+CS", "Q: 2", "0,99\r\r\n", "O", "K\n"]) {
      device.write(toBytes(piece));
      await settle();
    }
    expect(results).toEqual([{ type: "ok", lines: ["+CSQ: 20,99"] }]);
  });

  test("NO CARRIER ends a call's command only", async () => {
    ask("AT+CSQ");
    await says("NO CARRIER", "+CSQ: 20,99", "OK");
    ask("ATD5551234;");
    await says("NO CARRIER");
    expect(results).toMatchObject([
      { type: "ok", lines: ["+CSQ: 20,99"] },
      { type: "error", text: "NO CARRIER" },
    ]);
    expect(news).toEqual(["NO CARRIER"]);
  });

  test("closing ends all that waits", async () => {
    ask("AT+CSQ");
    ask("AT");
    channel.close();
    ask("AT");
    await settle();
    expect(results).toEqual([{ type: "closed" }, { type: "closed" }, { type: "closed" }]);
    expect(clock.pending).toBe(0);
  });
});

describe("what comes unasked", () => {
  test("is told, also in the middle of an answer", async () => {
    ask("AT+CEREG?", { accepts: (line: string) => parseRegistrationAnswer(line) !== undefined });
    await says('+CEREG: 5,"5A1E","B2A6E3C",7', "+CEREG: 2,1", "RING", "OK");
    expect(results).toEqual([{ type: "ok", lines: ["+CEREG: 2,1"] }]);
    expect(news).toEqual(['+CEREG: 5,"5A1E","B2A6E3C",7', "RING"]);
  });

  test("is not taken for the bare answer of an identity question", async () => {
    ask("AT+CGMM", { accepts: ANY_LINE });
    await says("SMS DONE", "EC25", '+QIND: "SMS DONE"', "OK");
    expect(results).toEqual([{ type: "ok", lines: ["EC25"] }]);
  });

  test("a message's text belongs to its line, even when it reads OK", async () => {
    ask("AT+CSQ");
    await says('+CMT: "+15555550100",,"26/11/20,12:00:00-28"', "OK");
    expect(results).toEqual([]);
    expect(news).toEqual([['+CMT: "+15555550100",,"26/11/20,12:00:00-28"', "OK"]]);
    await says("+CSQ: 20,99", "OK");
    expect(results).toEqual([{ type: "ok", lines: ["+CSQ: 20,99"] }]);
  });

  test("unknown lines are counted and forgotten", async () => {
    await says("*ECAV: 1", "garbage");
    expect(channel.strays).toBe(2);
    expect(news).toEqual([]);
  });
});

describe("after a timeout", () => {
  beforeEach(async () => {
    ask("AT+COPS?", { timeout_ms: 1000 });
    await settle(1000);
    expect(results).toEqual([{ type: "timeout" }]);
    await took();
    ask("AT+CSQ");
  });

  test("a late OK does not satisfy the next command", async () => {
    expect(await took()).toBe("AT+CMEE?\r");
    await says('+COPS: 0,0,"Late",7', "OK");
    expect(await took()).toBe("");
    await says("+CMEE: 1", "OK");
    expect(await took()).toBe("AT+CSQ\r");
    await says("+CSQ: 20,99", "OK");
    expect(results[1]).toEqual({ type: "ok", lines: ["+CSQ: 20,99"] });
  });

  test("nor does a late ERROR", async () => {
    await took();
    await says("+CME ERROR: 30", "+CMEE: 1", "OK");
    expect(await took()).toBe("AT+CSQ\r");
  });

  test("the next is sent as soon as the modem answers, when the late result never comes", async () => {
    await took();
    await says("+CMEE: 1", "OK");
    expect(await took()).toBe("AT+CSQ\r");
  });

  test("a modem that stays silent costs each waiting command one timeout, and each question is another", async () => {
    ask("AT");
    expect(await took()).toBe("AT+CMEE?\r");
    await settle(2000);
    expect(results).toEqual([{ type: "timeout" }, { type: "timeout" }]);
    expect(await took()).toBe("AT+CFUN?\r");
    // The answer to the question before comes late: it does not end the doubt.
    await says("+CMEE: 1", "OK");
    expect(await took()).toBe("");
    await says("+CFUN: 1", "OK");
    expect(await took()).toBe("AT\r");
  });

  test("news is still heard", async () => {
    await took();
    await says("+CPIN: NOT READY");
    expect(news).toEqual(["+CPIN: NOT READY"]);
  });
});

describe("the prompt for a text", () => {
  test("gets the text, ended by Ctrl-Z", async () => {
    ask('AT+CMGS="+15555550100"', { payload: "hello" });
    await took();
    device.write(toBytes("\r\n> "));
    expect(await took()).toBe("hello\u001a");
    await says("+CMGS: 12", "OK");
    expect(results).toEqual([{ type: "ok", lines: ["+CMGS: 12"] }]);
  });

  test("that nobody waits for is left with escape", async () => {
    ask("AT");
    await took();
    device.write(toBytes("\r\n> "));
    expect(await took()).toBe("\u001b");
  });
});

describe("garbage", () => {
  test("a line without an end is bounded, and what follows it is understood", async () => {
    ask("AT+CSQ");
    device.write(toBytes("x".repeat(100_000)));
    await settle();
    await says("+CSQ: 20,99", "OK");
    expect(results).toEqual([{ type: "ok", lines: ["+CSQ: 20,99"] }]);
  });

  test("no bytes throw, and after them the channel still finds its way", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), async (chunks) => {
        const time = new ManualClock();
        const [ours, theirs] = memoryCable(time);
        const own = new AtChannel({ stream: ours, clock: time, onUnsolicited: () => {} });
        let heard = "";
        theirs.onData((bytes) => {
          heard += fromBytes(bytes);
        });
        const first = own.send({ text: "AT+CESQ" });
        for (const chunk of chunks) theirs.write(chunk);
        time.advance(4000);
        await first;
        const next = own.send({ text: "AT+CSQ" });
        for (let i = 0; i < 4; i++) {
          time.advance(0);
          const question =
            heard
              .split("\r")
              .filter((line) => /^AT\+C(MEE|FUN|SQ)/.test(line))
              .at(-1) ?? "";
          heard = "";
          // Two line ends first: garbage may have left half a line, or the head of a message whose text follows.
          const name = /^AT(\+[A-Z]+)/.exec(question)?.[1];
          if (name !== undefined) theirs.write(toBytes(`\r\n.\r\n\r\n${name}: 1,99\r\n\r\nOK\r\n`));
          time.advance(0);
          await turn();
        }
        expect(await next).toMatchObject({ type: "ok", lines: ["+CSQ: 1,99"] });
        own.close();
      }),
      { numRuns: 300 },
    );
  });
});
