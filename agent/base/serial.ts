import { realpathSync, statSync } from "node:fs";
import type { ByteStream } from "./byte-stream.ts";
import { type Clock, every, type Timer } from "./clock.ts";
import { errorText, HoldfastError } from "./errors.ts";
import { requireEquipment } from "./practice-guard.ts";

/**
 * Adapter: serialport. A serial port as a {@link ByteStream}, 8 data bits, no parity, 1 stop bit, no flow control.
 * The library is loaded with the first port, so that a broken native add-on costs that port and not the process.
 */
export interface SerialSettings {
  /** A device, or a link to one (`/dev/serial/by-id/…`). What it really is decides whether it may be opened. */
  readonly path: string;
  readonly baud: number;
  readonly clock: Clock;
  /** Some UPS cables take their power from these: DTR set, RTS cleared. */
  readonly lines?: { readonly dtr: boolean; readonly rts: boolean };
}

/** After the device has gone, a write's callback never comes: then this is the only sign. */
const WRITE_TIMEOUT_MS = 2000;
/**
 * A device that is unplugged in the middle of a read leaves the library reading nothing, again and again, without a
 * word. Its name, though, is gone from /dev at once (or stands for another device).
 */
const PRESENCE_EVERY_MS = 1000;

/** Opens a port. Rejects with `serial.open`, or as {@link requireEquipment} throws. */
export async function openSerial(settings: SerialSettings): Promise<ByteStream> {
  const path = device(settings.path);
  requireEquipment(path);
  const { SerialPort } = await import("serialport").catch((error: unknown) => {
    throw new HoldfastError("serial.open", `The serial port library cannot be loaded: ${errorText(error)}.`, error);
  });
  const port = new SerialPort({ path, baudRate: settings.baud, autoOpen: false, lock: true });
  await new Promise<void>((resolve, reject) => {
    port.open((error) => {
      if (error === null) resolve();
      else reject(new HoldfastError("serial.open", `${settings.path}: ${error.message}.`, error));
    });
  });
  // Pseudo-terminals have no such lines and say so; that is no fault.
  if (settings.lines !== undefined) port.set(settings.lines, () => {});

  const opened = identity(path);
  let open = true;
  let onData: (bytes: Uint8Array) => void = () => {};
  let onClose: (why: string) => void = () => {};
  const writes = new Set<Timer>();
  const presence = every(settings.clock, PRESENCE_EVERY_MS, () => {
    if (identity(path) !== opened) lost("the device has gone");
  });
  const end = () => {
    open = false;
    presence.cancel();
    for (const timer of writes) timer.cancel();
    writes.clear();
    if (port.isOpen) port.close(() => {});
  };
  const lost = (why: string) => {
    if (!open) return;
    end();
    onClose(`${settings.path}: ${why}`);
  };
  // Reading from the start: a port that nobody reads does not notice that its device has gone.
  port.on("data", (bytes: Uint8Array) => {
    if (open) onData(bytes);
  });
  port.on("error", (error: Error) => lost(error.message));
  port.on("close", (error: Error | null) => lost(error?.message ?? "closed"));

  return {
    onData(listener) {
      onData = listener;
    },
    onClose(listener) {
      onClose = listener;
    },
    write(bytes) {
      if (!open) return;
      const timer = settings.clock.after(WRITE_TIMEOUT_MS, () => {
        writes.delete(timer);
        lost(`a write was not done in ${WRITE_TIMEOUT_MS} ms`);
      });
      writes.add(timer);
      port.write(Buffer.from(bytes), (error) => {
        timer.cancel();
        writes.delete(timer);
        if (error) lost(error.message);
      });
    },
    close: end,
  };
}

function device(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new HoldfastError("serial.open", `${path}: ${errorText(error)}.`, error);
  }
}

function identity(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.rdev} ${stat.ctimeMs}`;
}
