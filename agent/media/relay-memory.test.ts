import { describe, expect, test } from "vitest";
import type { EndpointInfo, EndpointSpec, RemotePeer } from "./relay.ts";
import { RelayMemory } from "./relay-memory.ts";

/** A media process that keeps what it was told, and can be killed. */
class Played {
  readonly endpoints = new Map<string, EndpointSpec & { port: number; peer?: RemotePeer; partner?: string }>();
  #port = 20_000;

  readonly open = async (spec: EndpointSpec) => {
    this.#port += 2;
    const port = spec.port ?? this.#port;
    this.endpoints.set(spec.id, { ...spec, port });
    return { port };
  };
  readonly setPeer = async (id: string, peer: RemotePeer) => void Object.assign(this.endpoints.get(id) ?? {}, { peer });
  readonly bridge = async (a: string, b: string) => {
    Object.assign(this.endpoints.get(a) ?? {}, { partner: b });
    Object.assign(this.endpoints.get(b) ?? {}, { partner: a });
  };
  readonly close = async (id: string) => void this.endpoints.delete(id);
  readonly list = async () =>
    [...this.endpoints.values()].map(
      ({ id, call_id, local_address, port, emergency, opaque, path, peer, partner }): EndpointInfo => ({
        ...{ id, call_id, local_address, port, emergency, bridged_to: partner },
        ...{ packets_in: 0, packets_out: 0, packets_dropped: 0, silent_ms: undefined },
        ...(opaque === undefined ? {} : { opaque }),
        ...(path === undefined ? {} : { path }),
        ...(peer === undefined ? {} : { peer }),
      }),
    );
}

const phone: EndpointSpec = { id: "a", call_id: "c", local_address: "10.0.0.1", emergency: true };
const trunk: EndpointSpec = { ...phone, id: "b", opaque: true, path: "wan" };
const peer: RemotePeer = { address: "10.0.0.9", port: 4000, accept_from: ["10.0.0.9"] };

describe("what an engine had open in a media process that was killed", () => {
  test("is had again by an engine that was restarted in between: ports, peers and bridges", async () => {
    const before = new Played();
    await before.open(phone);
    await before.open(trunk);
    await before.setPeer("a", peer);
    await before.bridge("a", "b");
    // A new engine meets the old media process, and then a new one that has nothing.
    const memory = new RelayMemory();
    expect(await memory.restore(before)).toEqual([]);
    const after = new Played();
    expect(await memory.restore(after)).toEqual([]);
    expect(after.endpoints).toEqual(before.endpoints);
  });

  test("is not had again once the call was closed", async () => {
    const before = new Played();
    await before.open(phone);
    const memory = new RelayMemory();
    await memory.restore(before);
    memory.callClosed("c");
    const after = new Played();
    await memory.restore(after);
    expect(after.endpoints.size).toBe(0);
  });
});
