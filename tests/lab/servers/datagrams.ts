/**
 * Adapter: dgram. One end of media that is no RTP: sends the given packets from a port, one every 20 ms, and prints each
 * that comes there as a line of hexadecimal digits. Ends with its standard input.
 */
import { createSocket } from "node:dgram";

interface Settings {
  readonly address: string;
  readonly port: number;
  readonly to: { readonly address: string; readonly port: number };
  readonly packets: readonly string[];
}

const { address, port, to, packets } = JSON.parse(process.argv[2] ?? "{}") as Settings;
const socket = createSocket("udp4");
socket.on("message", (packet) => console.log(packet.toString("hex")));
socket.bind(port, address, () => {
  console.log("ready");
  packets.forEach((packet, n) => setTimeout(() => socket.send(Buffer.from(packet, "hex"), to.port, to.address), n * 20));
});
process.stdin.on("end", () => process.exit(0)).resume();
