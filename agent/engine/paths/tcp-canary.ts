/** Adapter: net. One TCP connection attempt pinned to a path's local address: does the far end accept it? */
import { connect } from "node:net";

export type CanaryResult =
  | { readonly alive: true }
  /** `code` is the kernel's, or ETIMEDOUT. */
  | { readonly alive: false; readonly code: string };

export interface CanaryTarget {
  readonly address: string;
  readonly port: number;
  readonly local_address: string;
}

/** Calls `done` once, unless cancelled first. A refusal is no sign of life: a router on the way may have sent it. */
export type TryCanary = (target: CanaryTarget, done: (result: CanaryResult) => void) => { cancel(): void };

export const tryCanary: TryCanary = (target, done) => {
  const socket = connect({
    host: target.address,
    port: target.port,
    localAddress: target.local_address,
    autoSelectFamily: false,
    lookup: (hostname, _options, callback) => callback(null, hostname, hostname.includes(":") ? 6 : 4),
  });
  let over = false;
  const end = (result: CanaryResult) => {
    if (over) return;
    over = true;
    socket.destroy();
    done(result);
  };
  socket.unref();
  socket.on("connect", () => end({ alive: true }));
  socket.on("error", (error) => end({ alive: false, code: (error as NodeJS.ErrnoException).code ?? "EUNKNOWN" }));
  return {
    cancel() {
      over = true;
      socket.destroy();
    },
  };
};
