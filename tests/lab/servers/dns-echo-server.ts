/**
 * Adapter: dgram. A tiny DNS server (A records, NXDOMAIN for other names, empty answers for other types, further records
 * from a file that may change) with a switch for SERVFAIL and silence, and a UDP echo (RFC 862). Settings are one JSON argument.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, RECURSION_AVAILABLE, RECURSION_DESIRED } from "dns-packet";

interface Settings {
  readonly dns: string;
  readonly dns_port: number;
  readonly echo: readonly string[];
  readonly echo_port: number;
  readonly names: Readonly<Record<string, string>>;
  readonly mode_file: string;
  /** Answer records by `TYPE name`, as JSON. */
  readonly records_file: string;
}

const NXDOMAIN = 3;
const SERVFAIL = 2;
const settings = JSON.parse(process.argv[2] ?? "{}") as Settings;

const dns = createSocket("udp4");
dns.on("message", (bytes, peer) => {
  const mode = readFileSync(settings.mode_file, "utf8").trim();
  if (mode === "silent") return;
  let query: ReturnType<typeof decode>;
  try {
    query = decode(bytes);
  } catch {
    return;
  }
  const question = query.questions?.[0];
  if (question === undefined) return;
  const name = question.name.toLowerCase();
  const records = JSON.parse(readFileSync(settings.records_file, "utf8")) as Record<string, Answer[]>;
  const further = records[`${question.type} ${name}`] ?? [];
  const address = settings.names[name];
  const known = address !== undefined || Object.keys(records).some((key) => key.endsWith(` ${name}`));
  const code = mode === "servfail" ? SERVFAIL : known ? 0 : NXDOMAIN;
  const answer = encode({
    type: "response",
    ...(query.id === undefined ? {} : { id: query.id }),
    flags: AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | ((query.flags ?? 0) & RECURSION_DESIRED) | code,
    questions: [question],
    answers: [
      ...(code === 0 ? further : []),
      ...(code === 0 && question.type === "A" && address !== undefined
        ? [{ type: "A" as const, name: question.name, ttl: 5, data: address }]
        : []),
    ],
  });
  dns.send(answer, peer.port, peer.address);
});
dns.bind(settings.dns_port, settings.dns);
await once(dns, "listening");

for (const address of settings.echo) {
  const echo = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  echo.on("message", (bytes, peer) => echo.send(bytes, peer.port, peer.address));
  echo.bind(settings.echo_port, address);
  await once(echo, "listening");
}
console.log("ready");
