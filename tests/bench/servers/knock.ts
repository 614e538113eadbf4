/**
 * Adapter: dgram. Asks a SIP server for OPTIONS every few milliseconds from a fresh transaction each, and prints the wall
 * time of the first 200 OK. Arguments: local address, server address, port.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";

const EVERY_MS = 2;
const [local = "", server = "", port = ""] = process.argv.slice(2);
const socket = createSocket("udp4");
socket.bind(0, local);
await once(socket, "listening");
const own = socket.address().port;
let n = 0;

const knock = setInterval(() => {
  n++;
  const text = [
    `OPTIONS sip:${server}:${port} SIP/2.0`,
    `Via: SIP/2.0/UDP ${local}:${own};rport;branch=z9hG4bKknock${n}`,
    "Max-Forwards: 70",
    `From: <sip:knock@${local}>;tag=k${n}`,
    `To: <sip:${server}:${port}>`,
    `Call-ID: knock-${n}@${local}`,
    "CSeq: 1 OPTIONS",
    "Content-Length: 0",
    "\r\n",
  ].join("\r\n");
  socket.send(text, Number(port), server, () => {});
}, EVERY_MS);

socket.on("error", () => {});
socket.on("message", (bytes) => {
  if (!bytes.toString("latin1").startsWith("SIP/2.0 200")) return;
  console.log(`answered ${performance.timeOrigin + performance.now()}`);
  clearInterval(knock);
  socket.close();
});
console.log("ready");
