import type { Clock } from "../../../base/clock.ts";
import type { Relay } from "../../../media/relay.ts";
import type { OwnedCall } from "../call-context.ts";
import { FarEndWatch } from "./far-end-watch.ts";

export interface OwnedCallsContext {
  readonly clock: Clock;
  readonly relay: Pick<Relay, "list">;
  calls(): ReadonlySet<OwnedCall>;
}

/**
 * Listens to the far ends of the box's own calls, 911 first of all: where no path verdict comes soon, they leave a dead
 * path by its silence, as forwarded calls do.
 */
export function watchOwnedCalls({ clock, relay, calls }: OwnedCallsContext): FarEndWatch {
  const find = (id: string) => [...calls()].find((call) => call.id === id);
  return new FarEndWatch({
    clock,
    calls: () => calls().size,
    silences: async () => {
      const silent = new Map<string, number>();
      // Without the media process nothing is known.
      const list = await relay.list().catch(() => []);
      const byId = new Map(list.map(({ id, silent_ms }) => [id, silent_ms]));
      for (const call of calls()) {
        const heard = call.exit.endpoints().flatMap((id) => byId.get(id) ?? []);
        if (heard.length > 0) silent.set(call.id, Math.min(...heard));
      }
      return silent;
    },
    carrier: (id) => find(id)?.exit.carrier(),
    lost: (id) => find(id)?.exit.lost(),
    looked: () => {},
  });
}
