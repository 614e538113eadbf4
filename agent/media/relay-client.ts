/** The Relay port over the link, the engine's side. */
import { ERRORS, type ErrorCode, errorText, HoldfastError } from "../base/errors.ts";
import { RefusedError } from "../base/link/channel.ts";
import { connectLink, type LinkBasics } from "../base/link/link.ts";
import type { EndpointInfo, EndpointSpec, Playback, Relay, RemotePeer } from "./relay.ts";
import { RelayMemory } from "./relay-memory.ts";

/** A 911 call waits no longer than this for the media process, and then goes on without it. */
export const ANSWER_WITHIN_MS = 150;

export interface RelayClient extends Relay {
  close(id: string): Promise<void>;
  /** Ends the connection for good; the media process goes on relaying. */
  disconnect(): void;
}

/**
 * Connects to the media process and stays connected. `onChange` tells when it has come or gone: after it has come,
 * `list` says what it still has open. One that comes with nothing of what was opened here gets it back.
 */
export function connectRelay(
  basics: Omit<LinkBasics, "handlers">,
  onChange: (connected: boolean) => void = () => {},
): RelayClient {
  const memory = new RelayMemory();
  const link = connectLink({ ...basics, handlers: {} }, (connected) => {
    if (connected) void restore();
    onChange(connected);
  });

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

  const open = async (spec: EndpointSpec) => (await ask("open", spec)) as { readonly port: number };
  const setPeer = async (id: string, peer: RemotePeer) => void (await ask("setPeer", id, peer));
  const bridge = async (a: string, b: string) => void (await ask("bridge", a, b));
  const close = async (id: string) => void (await ask("close", id));
  const list = async () => (await ask("list")) as readonly EndpointInfo[];

  const restore = async () => {
    try {
      const lost = await memory.restore({ open, setPeer, bridge, close, list });
      if (lost.length > 0) basics.log.error("sound could not be taken up again", { endpoints: lost.join(" ") });
    } catch (error) {
      basics.log.error("sound could not be taken up again", { error: errorText(error) });
    }
  };

  // What is asked while the media process is away counts too: it is wanted when that is back.
  return {
    get connected() {
      return link.connected;
    },
    open: async (spec) => {
      const opened = await open(spec);
      memory.opened(spec, opened.port);
      return opened;
    },
    setPeer: async (id, peer) => {
      memory.peerSet(id, peer);
      await setPeer(id, peer);
    },
    bridge: async (a, b) => {
      memory.bridged(a, b);
      await bridge(a, b);
    },
    unbridge: async (id) => {
      memory.unbridged(id);
      await ask("unbridge", id);
    },
    play: async (id: string, playback: Playback) => void (await ask("play", id, playback)),
    stop: async (id) => void (await ask("stop", id)),
    close: async (id) => {
      memory.closed(id);
      await close(id);
    },
    closeCall: async (call_id) => {
      memory.callClosed(call_id);
      await ask("closeCall", call_id);
    },
    list,
    disconnect: () => link.close(),
  };
}
