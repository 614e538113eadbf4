/**
 * Adapter: dgram. One end of media that is no RTP: prints each datagram that comes as a line of hexadecimal digits. Told
 * where to by a line `address port` on its standard input, it sends the given ones there, one every 20 ms.
 */
import { createSocket } from "node:dgram";
import { createInterface } from "node:readline";

interface Settings {
  readonly address: string;
  readonly port: number;
  readonly packets: readonly string[];
}

const { address, port, packets } = JSON.parse(process.argv[2] ?? "{}") as Settings;
const socket = createSocket("udp4");
socket.on("message", (packet) => console.log(packet.toString("hex")));
socket.bind(port, address, () => console.log("ready"));
createInterface(process.stdin).on("line", (line) => {
  const [to, at] = line.split(" ");
  for (const [n, packet] of packets.entries()) {
    setTimeout(() => socket.send(Buffer.from(packet, "hex"), Number(at), to), n * 20);
  }
});
