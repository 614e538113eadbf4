/** The media process, built from its parts: a relay served over the link, reaped when nobody owns it any more. */
import { type Clock, every } from "../base/clock.ts";
import { HoldfastError } from "../base/errors.ts";
import { type LinkServer, serveLink } from "../base/link/link.ts";
import type { Log } from "../base/log.ts";
import { isAttached, isLoopback } from "../base/practice-guard.ts";
import { loadAnnouncements } from "./announcements.ts";
import { openMediaSocket } from "./datagram.ts";
import { LocalRelay } from "./local-relay.ts";
import { REAP_INTERVAL_MS } from "./orphans.ts";
import { answerRelay } from "./relay-service.ts";

export interface MediaConfig {
  /** Unix socket to serve the relay on. */
  readonly socket_path: string;
  readonly port_min: number;
  /** Inclusive. */
  readonly port_max: number;
  readonly boot_id: string;
  /** Packets go only to this machine. */
  readonly practice: boolean;
  /** In practice: also to phones of directly attached networks. */
  readonly lan: boolean;
}

export interface MediaProcess {
  readonly relay: LocalRelay;
  close(): Promise<void>;
}

export async function startMedia(config: MediaConfig, clock: Clock, log: Log): Promise<MediaProcess> {
  const relay = new LocalRelay({
    clock,
    port_min: config.port_min,
    port_max: config.port_max,
    openSocket: openMediaSocket,
    announcements: loadAnnouncements((name, reason) => log.error("announcement cannot be played", { name, reason })),
    allows: config.practice ? (address) => isLoopback(address) || (config.lan && isAttached(address)) : () => true,
  });
  let orphaned_ms: number | undefined = clock.now();
  const link: LinkServer = await serveLink(
    {
      socket_path: config.socket_path,
      name: "media",
      boot_id: config.boot_id,
      clock,
      log,
      handlers: {
        ask: (type, question) => {
          if (type !== "media.call")
            return Promise.reject(new HoldfastError("link.refused", `${type} is not for media.`));
          const { method, args } = question as { method: unknown; args: unknown };
          return answerRelay(relay, String(method), Array.isArray(args) ? args : []) as Promise<never>;
        },
      },
    },
    (peer, connected) => {
      if (peer !== "engine") return;
      orphaned_ms = connected ? undefined : clock.now();
      log.info(connected ? "engine connected" : "engine gone; relaying goes on");
    },
  );
  const reaping = every(clock, REAP_INTERVAL_MS, () => {
    if (orphaned_ms === undefined) return;
    for (const { id, call_id, emergency } of relay.reap(orphaned_ms)) {
      log.warn("endpoint left behind by the engine closed", { id, call_id, emergency });
    }
  });
  return {
    relay,
    async close() {
      reaping.cancel();
      relay.closeAll();
      await link.close();
    },
  };
}
