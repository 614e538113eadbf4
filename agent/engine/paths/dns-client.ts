/** Adapter: dgram, net, dns. One question to one name server from one local address, over UDP or TCP. */
import { createSocket } from "node:dgram";
import { getServers } from "node:dns";
import { connect } from "node:net";
import type { Clock } from "../../base/clock.ts";

export interface DnsQuestion {
  readonly bytes: Uint8Array;
  /** An address, or for IPv4 `address:port`. */
  readonly server: string;
  readonly protocol: "udp" | "tcp";
  readonly local_address: string | undefined;
  readonly timeout_ms: number;
  /** Whether these bytes answer it; what does not is passed over. */
  matches(bytes: Uint8Array): boolean;
}

/** The answer's bytes, or undefined when none came in time. Never rejects. */
export type AskServer = (question: DnsQuestion) => Promise<Uint8Array | undefined>;

const DNS_PORT = 53;
const HEAD_BYTES = 2;

/** The servers that the system uses, for a path that names none. */
export const systemServers = (): readonly string[] => getServers();

export function askOver(clock: Clock): AskServer {
  return (question) =>
    new Promise((resolve) => {
      const over = question.protocol === "udp" ? askUdp : askTcp;
      let open = true;
      const end = (answer: Uint8Array | undefined) => {
        if (!open) return;
        open = false;
        timer.cancel();
        close();
        resolve(answer);
      };
      const timer = clock.after(question.timeout_ms, () => end(undefined));
      let close = () => {};
      try {
        close = over(question, end);
        if (!open) close();
      } catch {
        end(undefined);
      }
    });
}

type End = (answer: Uint8Array | undefined) => void;

function askUdp({ bytes, server, local_address, matches }: DnsQuestion, end: End): () => void {
  const { address, port } = endpoint(server);
  const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4" });
  socket.on("error", () => end(undefined));
  socket.on("message", (answer, from) => {
    if (from.address === address && from.port === port && matches(answer)) end(answer);
  });
  socket.bind({ port: 0, ...(local_address === undefined ? {} : { address: local_address }) }, () =>
    socket.send(bytes, port, address, (error) => {
      if (error !== null) end(undefined);
    }),
  );
  return () => socket.close();
}

function askTcp({ bytes, server, local_address, matches }: DnsQuestion, end: End): () => void {
  const { address, port } = endpoint(server);
  const socket = connect({
    host: address,
    port,
    ...(local_address === undefined ? {} : { localAddress: local_address }),
  });
  let received = Buffer.alloc(0);
  socket.on("error", () => end(undefined));
  socket.on("close", () => end(undefined));
  socket.on("connect", () => {
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt16BE(bytes.length, 0);
    socket.write(Buffer.concat([head, bytes]));
  });
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < HEAD_BYTES) return;
    const length = received.readUInt16BE(0);
    if (received.length < HEAD_BYTES + length) return;
    const answer = received.subarray(HEAD_BYTES, HEAD_BYTES + length);
    end(matches(answer) ? answer : undefined);
  });
  return () => socket.destroy();
}

function endpoint(server: string): { readonly address: string; readonly port: number } {
  const [address = "", port] = /^[^:]+:\d+$/.test(server) ? server.split(":") : [server];
  return { address, port: port === undefined ? DNS_PORT : Number(port) };
}
