import { mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { openPty } from "../practice/pty.ts";
import { systemClock } from "./clock.ts";
import { ManualClock } from "./manual-clock.ts";
import { installPracticeGuard } from "./practice-guard.ts";
import { openSerial } from "./serial.ts";

installPracticeGuard({ lan: false });

const open: { close(): void }[] = [];
afterEach(() => {
  for (const item of open.splice(0)) item.close();
});

const link = (target: string) => {
  const path = join(mkdtempSync(join(tmpdir(), "serial-")), "modem");
  symlinkSync(target, path);
  return path;
};
const attempt = (path: string) => openSerial({ path, baud: 115200, clock: systemClock });

describe("a serial port in practice", () => {
  test("is refused when it is not a pseudo-terminal", async () => {
    await expect(attempt("/dev/null")).rejects.toMatchObject({ code: "practice.forbidden" });
  });

  test("is refused when its name only looks like one: what it leads to decides", async () => {
    await expect(attempt("/dev/pts/../null")).rejects.toMatchObject({ code: "practice.forbidden" });
    await expect(attempt(link("/dev/null"))).rejects.toMatchObject({ code: "practice.forbidden" });
  });

  test("that is not there is refused with its name", async () => {
    await expect(attempt("/dev/pts/99999")).rejects.toMatchObject({
      code: "serial.open",
      detail: expect.stringContaining("/dev/pts/99999"),
    });
  });

  test("may be named by a link, as udev makes them", async () => {
    const { path, device } = await openPty(systemClock);
    open.push(device);
    const port = await attempt(link(path));
    open.push(port);
    const heard = new Promise<string>((resolve) => device.onData((bytes) => resolve(Buffer.from(bytes).toString())));
    port.write(Buffer.from("AT\r"));
    expect(await heard).toBe("AT\r");
  });

  test("that is open already is refused to a second driver", async () => {
    const { path, device } = await openPty(systemClock);
    open.push(device);
    open.push(await attempt(path));
    await expect(attempt(path)).rejects.toMatchObject({ code: "serial.open" });
  });

  test("whose write is not done in two seconds has gone", async () => {
    const { path, device } = await openPty(systemClock);
    open.push(device);
    const clock = new ManualClock();
    const port = await openSerial({ path, baud: 2400, clock });
    const lost: string[] = [];
    port.onClose((why) => lost.push(why));
    port.write(Buffer.from("Q1\r"));
    // No turn of the event loop passes, so the library cannot have said that it is done.
    clock.advance(2000);
    expect(lost).toEqual([`${path}: a write was not done in 2000 ms`]);
    expect(clock.pending).toBe(0);
  });

  test("does not mind writes after its end", async () => {
    const { path, device } = await openPty(systemClock);
    const port = await attempt(path);
    const lost = new Promise<string>((resolve) => port.onClose(resolve));
    device.close();
    await lost;
    port.write(Buffer.from("AT\r"));
    port.close();
  });
});
