import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { type ByteStream, toBytes } from "../base/byte-stream.ts";
import type { Clock } from "../base/clock.ts";

/**
 * Adapter: child processes. A pseudo-terminal without native code: `script`, which every Debian has (bsdutils is
 * essential), makes one, and its standard input and output are the simulated device's side of it. The other side is a
 * /dev/pts/N that drivers open and close like a serial port.
 *
 * The terminal is raw before its name is told. It ends with us, however we end: the program on it waits on a pipe that
 * only this process holds open.
 */
export interface Pty {
  /** `/dev/pts/N`. */
  readonly path: string;
  /** The device's side. Its end is the cable being pulled. */
  readonly device: ByteStream;
}

const START_TIMEOUT_MS = 5000;
/** Nobody reads the other side: what a device says then is lost, as on a serial line. */
const UNREAD_LIMIT = 4 * 1024;
/** `script` itself would stay for as long as a driver holds the terminal; killing it is what hangs up. */
const PROGRAM = "stty raw -echo && echo READY $(tty) && read -r end <&3; kill -9 $PPID";

export function openPty(clock: Clock): Promise<Pty> {
  const child = spawn("script", ["-q", "-f", "-c", PROGRAM, "/dev/null"], {
    stdio: ["pipe", "pipe", "ignore", "pipe"],
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", SHELL: "/bin/sh" },
  });
  const [stdin, stdout, , life] = child.stdio as unknown as readonly [Writable, Readable, null, Writable];
  let onData: (bytes: Uint8Array) => void = () => {};
  let onClose: (why: string) => void = () => {};
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    life.destroy();
    stdin.destroy();
    child.kill("SIGKILL");
  };
  for (const stream of [stdin, stdout, life]) stream.on("error", () => {});

  const device: ByteStream = {
    onData: (listener) => {
      onData = listener;
    },
    onClose: (listener) => {
      onClose = listener;
    },
    write(bytes) {
      if (open && stdin.writableLength < UNREAD_LIMIT) stdin.write(bytes);
    },
    close,
  };

  return new Promise((resolve, reject) => {
    const failed = (why: string) => {
      timer.cancel();
      close();
      reject(new Error(`no pseudo-terminal: ${why}`));
    };
    const timer = clock.after(START_TIMEOUT_MS, () => failed("`script` did not start in time"));
    let head = "";
    let told = false;
    child.on("error", (error) => failed(error.message));
    child.on("exit", () => {
      if (!told) failed("`script` ended");
      else if (open) {
        close();
        onClose("the pseudo-terminal ended");
      }
    });
    stdout.on("data", (bytes: Buffer) => {
      if (told) {
        onData(bytes);
        return;
      }
      head += bytes.toString("latin1");
      const ready = /READY (\/dev\/pts\/[0-9]+)\r?\n/.exec(head);
      if (ready?.[1] === undefined) return;
      told = true;
      timer.cancel();
      resolve({ path: ready[1], device });
      const early = head.slice(ready.index + ready[0].length);
      if (early !== "") onData(toBytes(early));
    });
  });
}
