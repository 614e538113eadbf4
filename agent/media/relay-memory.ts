/** What the engine had open in the media process, so that one that was killed gets it back when it has come again. */
import type { EndpointInfo, EndpointSpec, Relay, RemotePeer } from "./relay.ts";

interface Kept {
  readonly spec: EndpointSpec;
  readonly port: number;
  peer: RemotePeer | undefined;
  partner: string | undefined;
}

export type RestoredBy = Pick<Relay, "open" | "setPeer" | "bridge" | "close" | "list">;

export class RelayMemory {
  readonly #kept = new Map<string, Kept>();

  opened(spec: EndpointSpec, port: number): void {
    if (this.#kept.get(spec.id)?.port === port) return;
    this.#kept.set(spec.id, { spec, port, peer: undefined, partner: undefined });
  }

  peerSet(id: string, peer: RemotePeer): void {
    const kept = this.#kept.get(id);
    if (kept !== undefined) kept.peer = peer;
  }

  bridged(a: string, b: string): void {
    this.unbridged(a);
    this.unbridged(b);
    const [first, second] = [this.#kept.get(a), this.#kept.get(b)];
    if (first !== undefined) first.partner = b;
    if (second !== undefined) second.partner = a;
  }

  unbridged(id: string): void {
    const kept = this.#kept.get(id);
    const partner = kept?.partner === undefined ? undefined : this.#kept.get(kept.partner);
    if (kept !== undefined) kept.partner = undefined;
    if (partner?.partner === id) partner.partner = undefined;
  }

  closed(id: string): void {
    this.unbridged(id);
    this.#kept.delete(id);
  }

  callClosed(call_id: string): void {
    for (const [id, { spec }] of this.#kept) if (spec.call_id === call_id) this.closed(id);
  }

  /** What an engine before this one had open: the peers of those calls know these ports too. */
  adopt(list: readonly EndpointInfo[]): void {
    for (const { id, call_id, local_address, port, bridged_to, emergency = false, opaque, path, peer } of list) {
      if (this.#kept.has(id)) continue;
      const spec: EndpointSpec = {
        ...{ id, call_id, local_address, emergency },
        ...(opaque === undefined ? {} : { opaque }),
        ...(path === undefined ? {} : { path }),
      };
      this.#kept.set(id, { spec, port, peer, partner: bridged_to });
    }
  }

  /**
   * Takes over what is there, and opens again what is missing: on the ports that the peers were told, emergency calls first, because nobody tells
   * them another. Returns the ids that could not be had.
   */
  async restore(relay: RestoredBy): Promise<readonly string[]> {
    const list = await relay.list();
    this.adopt(list);
    const there = new Set(list.map(({ id }) => id));
    const missing = [...this.#kept.values()].filter(({ spec }) => !there.has(spec.id));
    missing.sort((a, b) => Number(b.spec.emergency) - Number(a.spec.emergency));
    const failed: string[] = [];
    await Promise.all(
      missing.map(async ({ spec, port, peer }) => {
        try {
          const opened = await relay.open({ ...spec, port });
          if (opened.port !== port) {
            await relay.close(spec.id);
            throw new Error("another port");
          }
          if (peer !== undefined) await relay.setPeer(spec.id, peer);
        } catch {
          failed.push(spec.id);
        }
      }),
    );
    for (const { spec, partner } of missing) {
      if (partner === undefined || failed.includes(spec.id) || failed.includes(partner)) continue;
      await relay.bridge(spec.id, partner).catch(() => failed.push(spec.id));
    }
    return failed;
  }
}
