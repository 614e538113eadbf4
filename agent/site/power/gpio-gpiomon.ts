import { type ChildProcess, execFile, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import type { Timer } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import { requireEquipment } from "../../base/practice-guard.ts";
import type { GpioInput, GpioWish } from "./gpio.ts";

/**
 * Adapter: child_process. A GPIO input through libgpiod's command-line tools (Debian's package gpiod; versions 1 and 2
 * have different options). `gpioget` tells the level, then `gpiomon` tells edges. A line has one holder at a time, so
 * an edge between the two would be missed: `gpiomon` is started anew every minute, and the level read again.
 */
const RENEW_MS = 60_000;
const RETRY_MS = 10_000;
const TOOL_TIMEOUT_MS = 3000;
const OUTPUT_LIMIT = 4096;

export function gpiomonPresent(path = process.env.PATH ?? ""): boolean {
  return path.split(":").some((folder) => {
    try {
      accessSync(join(folder, "gpiomon"), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** `gpiochip0 [pinctrl-bcm2711] (58 lines)`, one chip a line; undefined when none has that label. */
export function chipNamed(label: string, detected: string): string | undefined {
  for (const line of detected.split("\n")) {
    const found = /^(gpiochip[0-9]+) \[(.*)\] \([0-9]+ lines\)$/.exec(line.trim());
    if (found?.[2] === label) return found[1];
  }
  return undefined;
}

/** Version 1 calls a falling edge 0, version 2 calls it 2; a rising edge is 1 in both. */
export function edgeLevel(line: string): boolean | undefined {
  return line === "1" ? true : line === "0" || line === "2" ? false : undefined;
}

export function openGpiomon(wish: GpioWish): GpioInput {
  let monitor: ChildProcess | undefined;
  let timer: Timer | undefined;
  let closed = false;
  const offset = String(wish.offset);

  const again = (after_ms: number) => {
    timer?.cancel();
    if (!closed) timer = wish.clock.after(after_ms, () => void begin());
  };
  const begin = async () => {
    try {
      requireEquipment(`gpio:${wish.chip}`);
      const chip = chipNamed(wish.chip, await tool("gpiodetect", []));
      if (chip === undefined) throw new Error(`no GPIO chip is labelled ${wish.chip}`);
      const old = /\bv1\./.test(await tool("gpiomon", ["--version"]));
      const got = await tool("gpioget", old ? [chip, offset] : ["--numeric", "--chip", chip, offset]);
      const level = edgeLevel(got.trim());
      if (level === undefined) throw new Error("gpioget did not tell a level");
      if (closed) return;
      wish.onLevel(level);
      monitor = watchEdges(
        old
          ? ["--line-buffered", "--format=%e", chip, offset]
          : ["--edges", "both", "--format", "%e", "--chip", chip, offset],
      );
    } catch (error) {
      if (closed) return;
      wish.onUnknown(errorText(error));
      again(RETRY_MS);
    }
  };
  const watchEdges = (args: readonly string[]): ChildProcess => {
    const child = spawn("gpiomon", args, { stdio: ["ignore", "pipe", "ignore"] });
    let rest = "";
    let renewed = false;
    timer = wish.clock.after(RENEW_MS, () => {
      renewed = true;
      child.kill();
    });
    child.stdout?.setEncoding("latin1");
    child.stdout?.on("data", (text: string) => {
      const lines = (rest + text).slice(-OUTPUT_LIMIT).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const level = edgeLevel(line.trim());
        if (level !== undefined && !closed) wish.onLevel(level);
      }
    });
    const ended = (why: string) => {
      if (monitor !== child || closed) return;
      monitor = undefined;
      if (!renewed) wish.onUnknown(why);
      again(renewed ? 0 : RETRY_MS);
    };
    child.on("error", (error) => ended(error.message));
    child.on("exit", () => ended("gpiomon ended"));
    return child;
  };
  void begin();
  return {
    close() {
      closed = true;
      timer?.cancel();
      monitor?.kill();
    },
  };
}

function tool(name: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(name, [...args], { timeout: TOOL_TIMEOUT_MS, maxBuffer: 64 * 1024 }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
  });
}
