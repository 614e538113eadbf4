/**
 * Adapter: dgram, net. Asks a DNS server for records of a name (type A, or the one named, over TCP when told) and prints the
 * response code and the records' data, or "none" for silence.
 */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { type Answer, decode, encode, RECURSION_DESIRED, type RecordType } from "dns-packet";

const PATIENCE_MS = 3000;
const codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
const [server = "", name = "", type = "A", protocol = "udp"] = process.argv.slice(2);
const query = encode({
  type: "query",
  id: 7,
  flags: RECURSION_DESIRED,
  questions: [{ type: type as RecordType, name }],
});

const finish = (text: string) => {
  console.log(text);
  process.exit(0);
};
setTimeout(() => finish("none"), PATIENCE_MS);

const text = (answer: Answer): string => {
  switch (answer.type) {
    case "A":
    case "AAAA":
      return answer.data;
    case "SRV":
      return `${answer.data.priority ?? 0} ${answer.data.port} ${answer.data.target}`;
    case "NAPTR":
      return `${answer.data.order} ${answer.data.preference} ${answer.data.services} ${answer.data.replacement}`;
    default:
      return answer.type;
  }
};
const told = (bytes: Uint8Array) => {
  const answer = decode(Buffer.from(bytes));
  finish([codes[(answer.flags ?? 0) & 15] ?? "unknown", ...(answer.answers ?? []).map(text)].join(" "));
};

if (protocol === "tcp") {
  const socket = connect(53, server, () => {
    const head = Buffer.alloc(2);
    head.writeUInt16BE(query.length, 0);
    socket.write(Buffer.concat([head, query]));
  });
  socket.on("error", () => finish("none"));
  socket.on("data", (bytes) => told(bytes.subarray(2)));
} else {
  const socket = createSocket("udp4");
  socket.on("error", () => finish("none"));
  socket.on("message", told);
  socket.send(query, 53, server);
}
