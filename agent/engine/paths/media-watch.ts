import { type Clock, every, type Timer } from "../../base/clock.ts";
import { errorText } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { EndpointInfo, Relay } from "../../media/relay.ts";
import { initialMedia, type MediaQuality, type MediaState, mediaQuality, observeMedia } from "./media-quality.ts";

export interface MediaWatchContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly relay: Pick<Relay, "list" | "connected">;
  readonly paths: readonly { readonly id: string; mediaJudged(quality: MediaQuality): void }[];
}

const EVERY_MS = 2_000;

/** Asks the relay what it hears on each path, and tells the paths. */
export class MediaWatch {
  readonly #context: MediaWatchContext;
  #state: MediaState = initialMedia;
  #timer: Timer | undefined;

  constructor(context: MediaWatchContext) {
    this.#context = context;
  }

  start(): void {
    this.#timer = every(this.#context.clock, EVERY_MS, () => void this.#look());
  }

  close(): void {
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { clock, log, relay, paths } = this.#context;
    if (!relay.connected) return;
    try {
      const list = await relay.list();
      this.#state = observeMedia(this.#state, samplesOf(list), clock.now());
      for (const path of paths) path.mediaJudged(mediaQuality(this.#state, path.id));
    } catch (error) {
      log.debug("media could not be asked", { error: errorText(error) });
    }
  }
}

function samplesOf(list: readonly EndpointInfo[]) {
  const byId = new Map(list.map((info) => [info.id, info]));
  return list.flatMap((info) => {
    const partner = info.bridged_to === undefined ? undefined : byId.get(info.bridged_to);
    if (info.path === undefined || partner === undefined || info.playing === true) return [];
    return [
      {
        id: info.id,
        call_id: info.call_id,
        path: info.path,
        packets_in: info.packets_in,
        packets_lost: info.packets_lost ?? 0,
        packets_from_partner: partner.packets_in,
        receiver_reports: info.receiver_reports ?? 0,
      },
    ];
  });
}
