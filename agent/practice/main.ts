/**
 * The practice world: everything around the box, simulated, in one process. Arguments: `--state-dir D --run-dir R
 * --practice [--lan]`. Writes `site.yaml` into the run directory and serves `practice.sock` there.
 */
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { errorText, HoldfastError } from "../base/errors.ts";
import { type LinkServer, serveLink } from "../base/link/link.ts";
import type { Requests, RequestType } from "../base/link/messages.ts";
import { createLog } from "../base/log.ts";
import { installPracticeGuard } from "../base/practice-guard.ts";
import { processArguments } from "../base/process-arguments.ts";
import { processLife } from "../base/process-life.ts";
import { startWorld } from "./world.ts";

const { state_dir, run_dir, lan, boot_id } = processArguments();
installPracticeGuard({ lan });
const log = createLog("practice", { practice: true });
for (const kind of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(kind, (error) => {
    log.error("ending after an unexpected error", {
      kind,
      detail: error instanceof Error ? error.stack : errorText(error),
    });
    process.exit(1);
  });
}

const world = await startWorld({ clock: systemClock, log, state_dir, run_dir, lan });

async function answer(type: RequestType, question: unknown): Promise<unknown> {
  if (type === "practice.cable") {
    const { wan } = question as Requests["practice.cable"]["question"];
    if (wan !== "plugged" && wan !== "pulled")
      throw new HoldfastError("link.refused", "The cable is plugged or pulled.");
    world.cable.set(wan);
    return { wan };
  }
  if (type === "practice.call") {
    const { from, to } = question as Requests["practice.call"]["question"];
    if (!/^[0-9+*#]{1,20}$/.test(String(from)) || !/^[0-9+*#]{1,20}$/.test(String(to))) {
      throw new HoldfastError("link.refused", "A call goes from one number to another.");
    }
    return world.call(from, to);
  }
  throw new HoldfastError("link.refused", `${type} is not answered by the practice world.`);
}

const link: LinkServer = await serveLink(
  {
    socket_path: join(run_dir, "practice.sock"),
    name: "practice",
    boot_id,
    clock: systemClock,
    log,
    handlers: {
      async ask<T extends RequestType>(type: T, question: Requests[T]["question"]): Promise<Requests[T]["answer"]> {
        return (await answer(type, question)) as Requests[T]["answer"];
      },
    },
  },
  (peer, connected) => {
    if (connected) link.telemetry(peer, "practice.status", { wan: world.cable.state });
  },
);
world.cable.onChange((wan) => {
  log.info("the WAN cable", { wan });
  link.telemetry("site", "practice.status", { wan });
});

processLife(log, async () => {
  await link.close();
  await world.close();
}).ready({ config_file: world.config_file, card: world.card });
