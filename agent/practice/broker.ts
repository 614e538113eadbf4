import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Aedes } from "aedes";
import type { Log } from "../base/log.ts";
import type { WanCable } from "./wan-cable.ts";

/**
 * Adapter: aedes and net. The practice NOC: one MQTT 3.1.1 broker, reached over `wan` and `lte` like a broker on the
 * Internet, with an application behind it that acknowledges every event.
 */
export interface BrokerPlaces {
  readonly wan: { readonly address: string; readonly port: number };
  readonly lte: { readonly address: string; readonly port: number };
}

export interface PracticeBroker {
  close(): Promise<void>;
}

const EVENTS = "holdfast/v1/+/+/+/event";

export async function startBroker(places: BrokerPlaces, cable: WanCable, log: Log): Promise<PracticeBroker> {
  const aedes = await Aedes.createBroker({ heartbeatInterval: 15_000 });
  aedes.on("clientError", (_client, error) => log.debug("broker: a client's error", { detail: error.message }));
  aedes.on("connectionError", (_client, error) => log.debug("broker: a connection's error", { detail: error.message }));
  await new Promise<void>((resolve) =>
    aedes.subscribe(
      EVENTS,
      (packet, done) => {
        done();
        const id = idOf(packet.payload);
        if (id === undefined) return;
        const topic = packet.topic.replace(/event$/, "ack");
        const payload = Buffer.from(JSON.stringify({ ids: [id], practice: true, notice: "PRACTICE" }));
        aedes.publish({ cmd: "publish", topic, payload, qos: 1, retain: false, dup: false }, () => {});
      },
      resolve,
    ),
  );
  const sockets = new Set<Socket>();
  const serve = async (at: { address: string; port: number }, through: (socket: Socket) => Duplex) => {
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
      aedes.handle(through(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: at.address, port: at.port }, resolve);
    });
    return server;
  };
  const servers: Server[] = await Promise.all([
    serve(places.wan, (socket) => cable.stream(socket)),
    serve(places.lte, (socket) => socket),
  ]);
  return {
    async close() {
      const closing = servers.map((server) => new Promise((closed) => server.close(closed)));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closing);
      await new Promise<void>((closed) => aedes.close(closed));
    },
  };
}

/** The id of an event, which is all that its acknowledgement needs. */
function idOf(payload: string | Buffer): string | undefined {
  try {
    const event = JSON.parse(payload.toString()) as { id?: unknown } | null;
    return typeof event?.id === "string" ? event.id : undefined;
  } catch {
    return undefined;
  }
}
