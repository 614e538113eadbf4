/**
 * A light telephone on the SIP library: registers, dials and cancels as it is told by JSON lines on standard input, and
 * prints what it is answered. `{address, port}` of its own is the one argument.
 */
import { createInterface } from "node:readline";
import { systemClock } from "../../../agent/base/clock.ts";
import { token } from "../../../agent/base/ids.ts";
import { answerChallenge, chooseChallenge } from "../../../agent/sip/auth/digest.ts";
import { buildRequest } from "../../../agent/sip/messages/build.ts";
import { headerValues } from "../../../agent/sip/messages/headers.ts";
import type { Header, SipResponse } from "../../../agent/sip/messages/message.ts";
import type { ClientTransaction } from "../../../agent/sip/transactions/client-transaction.ts";
import { TransactionLayer } from "../../../agent/sip/transactions/layer.ts";
import { networkTransport } from "../../../agent/sip/transport/network-transport.ts";
import type { PhoneCommand, PhoneReport } from "../branch/phone.ts";

const local = JSON.parse(process.argv[2] ?? "{}") as { address: string; port: number };
const transport = networkTransport({ clock: systemClock });
await transport.listen({ protocol: "udp", ...local });
const layer = new TransactionLayer({ transport, clock: systemClock });
const calls = new Map<number, ClientTransaction>();
const registrations = new Map<string, { readonly callId: string; cseq: number }>();

const tell = (report: PhoneReport) => console.log(JSON.stringify(report));
const sdp = [
  "v=0",
  `o=- 1 1 IN IP4 ${local.address}`,
  "s=-",
  `c=IN IP4 ${local.address}`,
  "t=0 0",
  "m=audio 30000 RTP/AVP 0",
  "a=rtpmap:0 PCMU/8000",
  "",
].join("\r\n");

function flowTo(port: number, address: string) {
  return transport.flowTo({ protocol: "udp", address, port, local_address: local.address, local_port: local.port });
}

function register(command: Extract<PhoneCommand, { do: "register" }>, credentials: readonly Header[] = []): void {
  const { id, user, domain, server, port } = command;
  const key = `${user} ${server}:${port}`;
  const known = registrations.get(key) ?? { callId: token(), cseq: 0 };
  registrations.set(key, known);
  known.cseq++;
  const aor = `sip:${user}@${domain}`;
  const request = buildRequest({
    method: "REGISTER",
    uri: `sip:${domain}`,
    from: `<${aor}>;tag=${token(5)}`,
    to: `<${aor}>`,
    callId: known.callId,
    cseq: known.cseq,
    contact: `<sip:${user}@${local.address}:${local.port}>`,
    headers: [{ name: "Expires", value: "3600" }, ...credentials],
  });
  layer.request(request, flowTo(port, server), {
    onFinal: (response) => {
      const header = credentials.length > 0 ? undefined : answerTo(response, command, request.uri);
      if (header === undefined) tell({ id, status: response.status, final: true });
      else register(command, [header]);
    },
    onTimeout: () => tell({ id, status: 408, final: true }),
    onTransportError: () => tell({ id, status: 503, final: true }),
  });
}

function answerTo(
  response: SipResponse,
  { user: username, password }: { readonly user: string; readonly password: string },
  uri: string,
): Header | undefined {
  if (response.status !== 401) return undefined;
  const challenge = chooseChallenge(headerValues(response, "WWW-Authenticate"));
  if (challenge === undefined) return undefined;
  const answer = answerChallenge({ challenge, method: "REGISTER", uri, username, password, nc: 1, cnonce: token(8) });
  return answer.ok ? { name: "Authorization", value: answer.value } : undefined;
}

function invite({ id, user, domain, target, server, port }: Extract<PhoneCommand, { do: "invite" }>): void {
  const request = buildRequest({
    method: "INVITE",
    uri: `sip:${target}@${domain}`,
    from: `<sip:${user}@${domain}>;tag=${token(5)}`,
    to: `<sip:${target}@${domain}>`,
    callId: `bench-${id}-${token()}`,
    cseq: 1,
    contact: `<sip:${user}@${local.address}:${local.port}>`,
    contentType: "application/sdp",
    body: sdp,
  });
  const over = (status: number) => {
    calls.delete(id);
    tell({ id, status, final: true });
  };
  const call = layer.request(request, flowTo(port, server), {
    onProvisional: ({ status }) => tell({ id, status, final: false }),
    onFinal: ({ status }) => over(status),
    onTimeout: () => over(408),
    onTransportError: () => over(503),
  });
  calls.set(id, call);
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line) as PhoneCommand;
  if (command.do === "register") register(command);
  else if (command.do === "invite") invite(command);
  else calls.get(command.id)?.cancel();
});
console.log("ready");
