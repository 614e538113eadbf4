import type { EndpointInfo, EndpointSpec, Relay } from "../../../media/relay.ts";

/** A relay without sound: it hands out ports and keeps what it was told. */
export class TestRelay implements Relay {
  connected = true;
  /** Never answers, as a process that hangs. */
  hangs = false;
  readonly log: string[] = [];
  readonly endpoints = new Map<string, { port: number; call_id: string; local_address: string; opaque: boolean }>();
  readonly silent = new Set<string>();
  /** Since the last packet, at every endpoint. */
  silent_ms = 20;
  #port = 20_000;

  async open(spec: EndpointSpec): Promise<{ port: number }> {
    if (this.hangs) return new Promise(() => {});
    const known = this.endpoints.get(spec.id);
    if (known !== undefined) return { port: known.port };
    const port = this.#port;
    this.#port += 2;
    const { call_id, local_address, opaque = false } = spec;
    this.endpoints.set(spec.id, { port, call_id, local_address, opaque });
    return { port };
  }
  async setPeer(id: string, peer: { address: string; port: number }): Promise<void> {
    this.log.push(`peer ${id} ${peer.address}:${peer.port}`);
  }
  async bridge(a: string, b: string): Promise<void> {
    this.log.push(`bridge ${a} ${b}`);
  }
  async unbridge(): Promise<void> {}
  async play(id: string, playback: { sound: { kind: string; name?: string } }): Promise<void> {
    this.log.push(`play ${id} ${playback.sound.name ?? playback.sound.kind}`);
  }
  async stop(id: string): Promise<void> {
    this.log.push(`stop ${id}`);
  }
  async close(id: string): Promise<void> {
    this.endpoints.delete(id);
  }
  async closeCall(call_id: string): Promise<void> {
    for (const [id, endpoint] of this.endpoints) if (endpoint.call_id === call_id) this.endpoints.delete(id);
  }
  async list(): Promise<readonly EndpointInfo[]> {
    return [...this.endpoints].map(([id, { port, call_id, local_address }]) => ({
      id,
      call_id,
      local_address,
      port,
      bridged_to: undefined,
      packets_in: 1,
      packets_out: 1,
      packets_dropped: 0,
      silent_ms: this.silent.has("*") ? undefined : this.silent_ms,
    }));
  }
}
