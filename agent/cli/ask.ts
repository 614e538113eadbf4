import type { Clock } from "../base/clock.ts";
import { HoldfastError } from "../base/errors.ts";
import { connectLink } from "../base/link/link.ts";
import type { Requests, RequestType } from "../base/link/messages.ts";
import { silentLog } from "../base/log.ts";

/** One question to a running process over its socket; fails after a second when nobody serves it. */
export async function askOnce<T extends RequestType>(
  clock: Clock,
  socket_path: string,
  type: T,
  question: Requests[T]["question"],
  timeout_ms = 5000,
): Promise<Requests[T]["answer"]> {
  let connected: () => void = () => {};
  let missing: (error: Error) => void = () => {};
  const up = new Promise<void>((resolve, reject) => {
    connected = resolve;
    missing = reject;
  });
  const timer = clock.after(1000, () => missing(new HoldfastError("link.closed", "No running box was found here.")));
  const link = connectLink(
    { socket_path, name: "cli", boot_id: "", clock, log: silentLog, handlers: {} },
    (is) => is && connected(),
  );
  try {
    await up;
    return await link.ask(type, question, timeout_ms);
  } finally {
    timer.cancel();
    link.close();
  }
}
