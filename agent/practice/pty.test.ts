import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ByteStream } from "../base/byte-stream.ts";
import { systemClock } from "../base/clock.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { openSerial } from "../base/serial.ts";
import { openPty } from "./pty.ts";

installPracticeGuard({ lan: false });

const open: { close(): void }[] = [];
afterEach(() => {
  for (const item of open.splice(0)) item.close();
});

async function pty() {
  const made = await openPty(systemClock);
  open.push(made.device);
  return made;
}

async function port(path: string, baud = 2400) {
  const made = await openSerial({ path, baud, clock: systemClock, lines: { dtr: true, rts: false } });
  open.push(made);
  return made;
}

/** Resolves with the first `count` bytes that come. */
function take(stream: ByteStream, count: number): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const got: number[] = [];
    stream.onData((bytes) => {
      got.push(...bytes);
      if (got.length >= count) resolve(Uint8Array.from(got));
    });
  });
}

const everyByte = Uint8Array.from({ length: 256 * 20 }, (_, i) => i & 0xff);

describe("the pseudo-terminal of the practice world", () => {
  test("carries every byte value unchanged in both directions", async () => {
    const { path, device } = await pty();
    const driver = await port(path);
    const atDriver = take(driver, everyByte.length);
    const atDevice = take(device, everyByte.length);
    device.write(everyByte);
    driver.write(everyByte);
    expect(Buffer.compare(await atDriver, everyByte)).toBe(0);
    expect(Buffer.compare(await atDevice, everyByte)).toBe(0);
  });

  test("is there for one driver after the other", async () => {
    const { path, device } = await pty();
    for (const baud of [2400, 115200, 9600]) {
      const driver = await port(path, baud);
      const question = take(device, 3);
      driver.write(Buffer.from("Q1\r"));
      expect(Buffer.from(await question).toString()).toBe("Q1\r");
      const answer = take(driver, 4);
      device.write(Buffer.from("(x)\r"));
      expect(Buffer.from(await answer).toString()).toBe("(x)\r");
      driver.close();
    }
  });

  test("hangs up on its driver when the device is unplugged", async () => {
    const { path, device } = await pty();
    const driver = await port(path);
    const lost = new Promise<string>((resolve) => driver.onClose(resolve));
    device.close();
    expect(await lost).toContain(path);
  });

  test("ends with the process that made it, even when that is killed", async () => {
    const program = `
      import { openPty } from ${JSON.stringify(new URL("./pty.ts", import.meta.url).href)};
      import { systemClock } from ${JSON.stringify(new URL("../base/clock.ts", import.meta.url).href)};
      const { path } = await openPty(systemClock);
      console.log(path);
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(owner.stdout, "data");
    const path = String(line).trim();
    const script = childrenOf(owner.pid ?? 0);
    const family = [...script, ...script.flatMap(childrenOf)];
    expect(path).toMatch(/^\/dev\/pts\/[0-9]+$/);
    expect(family.map(nameOf)).toEqual(["script", "sh"]);
    const driver = await port(path);
    const lost = new Promise((resolve) => driver.onClose(resolve));
    owner.kill("SIGKILL");
    await vi.waitFor(() => expect(family.map(nameOf)).toEqual([undefined, undefined]), { timeout: 3000, interval: 10 });
    await lost;
  });

  test("loses what the device says while nobody reads, and goes on", async () => {
    const { path, device } = await pty();
    for (let i = 0; i < 200; i++) device.write(everyByte);
    const driver = await port(path);
    let tail = "";
    driver.onData((bytes) => {
      tail = (tail + Buffer.from(bytes).toString("latin1")).slice(-8);
    });
    const ask = take(device, 3);
    driver.write(Buffer.from("AT\r"));
    await ask;
    const heard = () => {
      device.write(Buffer.from("marker\r\n"));
      expect(tail).toBe("marker\r\n");
    };
    await vi.waitFor(heard, { timeout: 3000, interval: 10 });
  });
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

/** Undefined for a process that is gone or only waits to be buried. */
function nameOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return / Z /.test(stat) ? undefined : /\((.*)\)/.exec(stat)?.[1];
  } catch {
    return undefined;
  }
}
