import type { DatagramAdapter } from "../sip/transport/sockets.ts";

const COOKIE = 0x2112a442;
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const XOR_MAPPED_ADDRESS = 0x0020;

/** The success response to a STUN binding request over IPv4 (RFC 8489 §6, §14.2); undefined for anything else. */
export function answerStun(request: Uint8Array, address: string, port: number): Uint8Array | undefined {
  const view = Buffer.from(request.buffer, request.byteOffset, request.byteLength);
  if (view.length < 20 || view.length > 1500) return undefined;
  if (view.readUInt16BE(0) !== BINDING_REQUEST || view.readUInt32BE(4) !== COOKIE) return undefined;
  const octets = address.split(".").map(Number);
  if (octets.length !== 4) return undefined;
  const response = Buffer.alloc(32);
  response.writeUInt16BE(BINDING_SUCCESS, 0);
  response.writeUInt16BE(12, 2);
  view.copy(response, 4, 4, 20);
  response.writeUInt16BE(XOR_MAPPED_ADDRESS, 20);
  response.writeUInt16BE(8, 22);
  response.writeUInt8(1, 25);
  response.writeUInt16BE(port ^ (COOKIE >>> 16), 26);
  for (let i = 0; i < 4; i++) response.writeUInt8((octets[i] ?? 0) ^ ((COOKIE >>> (24 - 8 * i)) & 255), 28 + i);
  return response;
}

/** Answers binding requests on one socket until it is closed. */
export async function startStunResponder(
  datagrams: DatagramAdapter,
  address: string,
  port: number,
): Promise<{ close(): Promise<void> }> {
  const socket = await datagrams.bind(
    { address, port },
    {
      datagram(bytes, from, fromPort) {
        const answer = answerStun(bytes, from, fromPort);
        if (answer !== undefined) socket.send(answer, from, fromPort, () => {});
      },
      failed: () => {},
    },
  );
  return { close: () => socket.close() };
}
