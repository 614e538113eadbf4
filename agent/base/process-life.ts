import type { Log } from "./log.ts";

/**
 * How a Holdfast process says that it is up and how it ends: on SIGTERM or SIGINT, or when the supervisor that started
 * it is gone (its IPC channel closes). A second signal does not wait. Under systemd there is no channel and `ready` is
 * a log line only.
 */
export function processLife(
  log: Log,
  stop: () => Promise<void> | void,
): { ready(facts?: Readonly<Record<string, unknown>>): void } {
  let ending = false;
  const end = (why: string) => {
    if (ending) process.exit(1);
    ending = true;
    log.info("stopping", { why });
    Promise.resolve()
      .then(stop)
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error("stopping failed", { error });
          process.exit(1);
        },
      );
  };
  process.on("SIGTERM", () => end("SIGTERM"));
  process.on("SIGINT", () => end("SIGINT"));
  if (process.send !== undefined) process.on("disconnect", () => end("the supervisor is gone"));
  return {
    ready(facts = {}) {
      log.info("ready", facts);
      process.send?.({ ready: true, ...facts });
    },
  };
}

/**
 * What nobody expected ends the process, because nobody knows what state it left; the supervisor starts it again, and
 * journals and stores hold what was known. Called before anything else runs.
 */
export function endOnFault(log: Log): void {
  const fatal = (error: unknown) => {
    log.error("stopped by a fault; starting anew", { error });
    process.exit(1);
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);
}
