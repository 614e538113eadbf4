import { readdirSync } from "node:fs";
import { join } from "node:path";

/** What strace wrote, a file for each process and thread, read for what goes out of the machine. */
export function traceFiles(folder: string): string[] {
  const traces = join(folder, "trace");
  return readdirSync(traces).map((name) => join(traces, name));
}

const V4 = /sin_addr=inet_addr\("([^"]+)"\)/g;
const V6 = /inet_pton\(AF_INET6, "([^"]+)"/g;
/** Netlink and Unix sockets stay on the machine. */
const CALL = /\b(connect|bind|sendto|sendmsg|sendmmsg)\(/;

/** Calls that name an address that is not loopback. An unbound socket's own bind to port 0 of every address is one. */
export function wayOut(lines: readonly string[]): string[] {
  return lines.filter((line) => {
    if (!CALL.test(line)) return false;
    const v4 = [...line.matchAll(V4)].map(([, address]) => address ?? "");
    const v6 = [...line.matchAll(V6)].map(([, address]) => address ?? "");
    return v4.some((address) => !address.startsWith("127.")) || v6.some((address) => address !== "::1");
  });
}

const EQUIPMENT = /"\/(?:dev\/(?:tty[A-Z0-9]|serial|gpiochip|cdc-wdm|rfcomm|usb\/|hidraw)|sys\/class\/gpio\/)[^"]*"/;

/** Attempts to open real equipment, successful or not. `/dev/tty` is the terminal of whoever started it. */
export function equipmentOpened(lines: readonly string[]): string[] {
  return lines.filter((line) => /\bopen(at)?\(/.test(line) && EQUIPMENT.test(line));
}
