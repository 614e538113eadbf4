import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type ByteStream, fromBytes, memoryCable, toBytes } from "../base/byte-stream.ts";
import { systemClock } from "../base/clock.ts";
import { ManualClock } from "../base/manual-clock.ts";
import { openPty } from "./pty.ts";
import { PracticeUps } from "./ups.ts";

function onACable() {
  const clock = new ManualClock();
  const [ours, theirs] = memoryCable(clock);
  const ups = new PracticeUps(clock);
  ups.plug(theirs);
  let heard = "";
  ours.onData((bytes) => {
    heard += fromBytes(bytes);
  });
  const ask = (question: string) => {
    heard = "";
    ours.write(toBytes(question));
    clock.advance(1000);
    return heard;
  };
  return { clock, ups, ask };
}

describe("the practice UPS", () => {
  test("answers Q1 in the Megatec form", () => {
    const { ask } = onACable();
    expect(ask("Q1\r")).toBe("(121.3 121.3 120.0 018 60.0 27.3 27.5 00001000\r");
  });

  test("says PRACTICE when it is asked who it is", () => {
    const { ask } = onACable();
    expect(ask("I\r")).toMatch(/^#PRACTICE {8}PRACTICE {3}PRACTICE {2}\r$/);
    expect(ask("F\r")).toBe("#120.0 002 024.0 60.0\r");
  });

  test("sends back what it does not know, once it is complete", () => {
    const { ask } = onACable();
    expect(ask("QG")).toBe("");
    expect(ask("S\rM\r")).toBe("QGS\rM\r");
  });

  test("runs down while the mains are away, until it says so itself", () => {
    const { clock, ups, ask } = onACable();
    ups.mains(false);
    expect(ask("Q1\r")).toBe("(000.0 000.0 120.0 018 60.0 25.2 27.5 10001001\r");
    clock.advance(30 * 60_000);
    expect(ask("Q1\r")).toContain(" 21.6 27.5 11001001");
    ups.mains(true);
    expect(ask("Q1\r")).toContain(" 27.3 27.5 00001000");
  });

  test("is silent, talks nonsense, and recovers", () => {
    const { ups, ask } = onACable();
    ups.behave("silent");
    expect(ask("Q1\r")).toBe("");
    ups.behave("garbage");
    expect(ask("Q1\r")).not.toMatch(/^\([0-9. ]+ [01]{8}\r$/);
    ups.behave("normal");
    expect(ask("Q1\r")).toMatch(/^\([0-9. ]+ [01]{8}\r$/);
  });
});

const DRIVER = ["/lib/nut/nutdrv_qx", "/usr/lib/nut/nutdrv_qx"].find((file) => existsSync(file));

/** HOLDFAST_PEERS=no: this machine cannot have the peers. Anywhere else a missing driver is a failure. */
describe.skipIf(process.env.HOLDFAST_PEERS === "no")("judged by NUT's own driver for such UPSs", () => {
  const open: ByteStream[] = [];
  afterEach(() => {
    for (const stream of open.splice(0)) stream.close();
  });

  async function judged(prepare: (ups: PracticeUps) => void, protocol = "q1"): Promise<Record<string, string>> {
    const { path, device } = await openPty(systemClock);
    open.push(device);
    const ups = new PracticeUps(systemClock);
    ups.plug(device);
    prepare(ups);
    const folder = mkdtempSync(join(tmpdir(), "nut-"));
    writeFileSync(join(folder, "ups.conf"), `[practice]\ndriver = nutdrv_qx\nport = ${path}\nprotocol = ${protocol}\n`);
    const output = await new Promise<string>((resolve, reject) => {
      const args = ["-a", "practice", "-u", userInfo().username, "-d", "1"];
      const env = { ...process.env, NUT_CONFPATH: folder, NUT_STATEPATH: folder, NUT_ALTPIDPATH: folder };
      execFile(DRIVER ?? "nutdrv_qx", args, { env, timeout: 30_000 }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${error.message}\n${stderr}`));
      });
    });
    return Object.fromEntries([...output.matchAll(/^([a-z0-9.]+): (.*)$/gm)].map((match) => [match[1], match[2]]));
  }

  test("on mains it is OL, with its readings and its PRACTICE name", { timeout: 40_000 }, async () => {
    // This one also asks for the ratings (F) and the name (I).
    const said = await judged(() => {}, "megatec");
    expect(said).toMatchObject({ "ups.status": "OL", "input.voltage": "121.3", "ups.load": "18" });
    expect(Number(said["battery.voltage"])).toBe(27.3);
    expect([said["device.mfr"], said["device.model"], said["battery.voltage.nominal"]]).toEqual([
      "PRACTICE",
      "PRACTICE",
      "24.0",
    ]);
  });

  test("without mains it is OB", { timeout: 40_000 }, async () => {
    const said = await judged((ups) => ups.mains(false));
    expect(said["ups.status"]).toBe("OB");
  });

  test("without mains and with an empty battery it is OB LB", { timeout: 40_000 }, async () => {
    const said = await judged((ups) => {
      ups.mains(false);
      ups.batteryLow(true);
    });
    expect(said["ups.status"]?.split(" ").sort()).toEqual(["LB", "OB"]);
  });
});
