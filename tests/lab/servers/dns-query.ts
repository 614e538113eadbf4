/** Adapter: dgram. Asks a DNS server for an A record and prints the response code and addresses, or "none" for silence. */
import { createSocket } from "node:dgram";
import { decode, encode, RECURSION_DESIRED } from "dns-packet";

const PATIENCE_MS = 500;
const codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
const [server = "", name = ""] = process.argv.slice(2);
const socket = createSocket("udp4");

const finish = (text: string) => {
  clearTimeout(patience);
  socket.close();
  console.log(text);
};
const patience = setTimeout(() => finish("none"), PATIENCE_MS);
socket.on("error", () => finish("none"));
socket.on("message", (bytes) => {
  const code = codes[(decode(bytes).flags ?? 0) & 15] ?? "unknown";
  const addresses = (decode(bytes).answers ?? []).flatMap((answer) => (answer.type === "A" ? [answer.data] : []));
  finish([code, ...addresses].join(" "));
});
socket.send(encode({ type: "query", id: 7, flags: RECURSION_DESIRED, questions: [{ type: "A", name }] }), 53, server);
