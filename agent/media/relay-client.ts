/** The Relay port over the link, the engine's side. */
import { ERRORS, type ErrorCode, errorText, HoldfastError } from "../base/errors.ts";
import { RefusedError } from "../base/link/channel.ts";
import { connectLink, type LinkBasics } from "../base/link/link.ts";
import type { EndpointInfo, EndpointSpec, Playback, Relay, RemotePeer } from "./relay.ts";

/** A 911 call waits no longer than this for the media process, and then goes on without it. */
export const ANSWER_WITHIN_MS = 150;

export interface RelayClient extends Relay {
  close(id: string): Promise<void>;
  /** Ends the connection for good; the media process goes on relaying. */
  disconnect(): void;
}

/**
 * Connects to the media process and stays connected. `onChange` tells when it has come or gone: after it has come,
 * `list` says what it still has open.
 */
export function connectRelay(
  basics: Omit<LinkBasics, "handlers">,
  onChange: (connected: boolean) => void = () => {},
): RelayClient {
  const link = connectLink({ ...basics, handlers: {} }, onChange);

  const ask = async (method: string, ...args: readonly unknown[]): Promise<unknown> => {
    try {
      return await link.ask("media.call", { method, args }, ANSWER_WITHIN_MS);
    } catch (error) {
      if (error instanceof RefusedError && Object.hasOwn(ERRORS, error.code)) {
        throw new HoldfastError(error.code as ErrorCode, error.detail, error);
      }
      throw new HoldfastError("media.unreachable", `${method}: ${errorText(error)}`, error);
    }
  };

  return {
    get connected() {
      return link.connected;
    },
    open: async (spec: EndpointSpec) => (await ask("open", spec)) as { readonly port: number },
    setPeer: async (id: string, peer: RemotePeer) => void (await ask("setPeer", id, peer)),
    bridge: async (a, b) => void (await ask("bridge", a, b)),
    unbridge: async (id) => void (await ask("unbridge", id)),
    play: async (id: string, playback: Playback) => void (await ask("play", id, playback)),
    stop: async (id) => void (await ask("stop", id)),
    close: async (id) => void (await ask("close", id)),
    closeCall: async (call_id) => void (await ask("closeCall", call_id)),
    list: async () => (await ask("list")) as readonly EndpointInfo[],
    disconnect: () => link.close(),
  };
}
