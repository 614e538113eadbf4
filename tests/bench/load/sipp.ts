/** SIPp as telephones that come from many addresses of the switch, and as the callee. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { domains, lan } from "../../lab/addresses.ts";
import type { Lab } from "../../lab/lab.ts";
import { injection } from "../../lab/peers/sipp.ts";
import { pause, receiveRequest, receiveResponse, reply, scenario, sdp, send } from "../../lab/peers/sipp-scenario.ts";
import type { Program } from "../../lab/processes.ts";
import { run } from "../../lab/processes.ts";

/** The box holds back what one address of the LAN sends in excess of a rate; the load comes from several. */
export const SOURCES = 5;
export const FIRST_TELEPHONE = 2001;
const TELEPHONE_PORT = 5062;

const sourceOf = (n: number): string => `10.77.1.${210 + n}`;

export async function addSources(): Promise<void> {
  const lines = Array.from({ length: SOURCES }, (_, n) => `addr add ${sourceOf(n)}/${lan.prefix} dev ${lan.switch}`);
  await run(["ip", "-n", "lan", "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

const credentials = (users: readonly string[]): string =>
  injection(users.map((user) => [user, `[authentication username=${user} password=pw-${user}]`]));

const via = "Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]";
const ids = (target: string) =>
  `From: <sip:[field0]@${domains.pbx}>;tag=[pid]-[call_number]
To: <sip:${target}@${domains.pbx}>
Call-ID: [call_id]
Contact: <sip:[field0]@[local_ip]:[local_port]>
Max-Forwards: 70`;
const REPEATED = { retransmitted_ms: 500 } as const;
const sdpAt = (host: string) => sdp(host, 30_000);

const register = (cseq: number, credentials: string) =>
  send(
    `REGISTER sip:${domains.pbx} SIP/2.0
${via}
${ids("[field0]")}
CSeq: ${cseq} REGISTER
Expires: 3600
${credentials}Content-Length: 0
`,
    REPEATED,
  );

export const registerScenario = scenario("register", [
  register(1, ""),
  receiveResponse(100, { optional: true }),
  receiveResponse(401, { challenge: true }),
  register(2, "[field1]\n"),
  receiveResponse(100, { optional: true }),
  receiveResponse(200),
]);

export const callScenario = (number: string) => {
  const target = `sip:${number}@${domains.pbx}`;
  const invite = (cseq: number, credentials: string) =>
    send(
      `INVITE ${target} SIP/2.0
${via}
${ids(number)}
CSeq: ${cseq} INVITE
${credentials}${sdpAt("[local_ip]")}`,
      REPEATED,
    );
  const provisional = [100, 180].map((status) => receiveResponse(status, { optional: true }));
  return scenario("call", [
    invite(1, ""),
    ...provisional,
    receiveResponse(407, { challenge: true }),
    send(
      `ACK ${target} SIP/2.0
${via}
From: <sip:[field0]@${domains.pbx}>;tag=[pid]-[call_number]
To: <sip:${number}@${domains.pbx}>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0
`,
    ),
    invite(2, "[field1]\n"),
    ...provisional,
    receiveResponse(200, { routes: true }),
    ...(["ACK", "BYE"] as const).flatMap((method) => [
      // So that a server of several processes does not let the BYE overtake the ACK.
      ...(method === "BYE" ? [pause(100)] : []),
      send(
        `${method} [next_url] SIP/2.0
${via}
[routes]
From: <sip:[field0]@${domains.pbx}>;tag=[pid]-[call_number]
To: <sip:${number}@${domains.pbx}>[peer_tag_param]
Call-ID: [call_id]
CSeq: ${method === "ACK" ? 2 : 3} ${method}
Max-Forwards: 70
Content-Length: 0
`,
        method === "BYE" ? REPEATED : {},
      ),
    ]),
    receiveResponse(200),
  ]);
};

const contact = "<sip:callee@[local_ip]:[local_port]>";

export const calleeScenario = scenario("callee", [
  receiveRequest("INVITE"),
  reply("180 Ringing", { contact }),
  reply("200 OK", { ...REPEATED, contact, body: sdpAt("[local_ip]") }),
  receiveRequest("ACK"),
  receiveRequest("BYE"),
  reply("200 OK", { contact, tag: false }),
]);

export interface Load {
  readonly name: string;
  readonly scenario: string;
  readonly users: readonly string[];
  /** Port of the branch server on the LAN. */
  readonly port: number;
  /** Addresses that it comes from, each a SIPp of its own; all numbers below are for each. */
  readonly sources: number;
  /** Operations that begin in `rate_period_ms`. */
  readonly rate: number;
  readonly rate_period_ms: number;
  readonly count: number;
  readonly cores: string;
}

/** Runs a load to its end; throws unless each operation succeeded. */
export async function runLoad(lab: Lab, load: Load, deadline_ms: number): Promise<void> {
  const running = await Promise.all(Array.from({ length: load.sources }, (_, n) => startSource(lab, load, n)));
  const late = setTimeout(() => {
    for (const program of running) void program.stop("SIGKILL");
  }, deadline_ms);
  const ends = await Promise.all(running.map(({ exited }) => exited));
  clearTimeout(late);
  for (const [n, how] of ends.entries()) {
    if (how !== "exit 0") throw new Error(`SIPp ${load.name}-${n}: ${how}; see its log`);
  }
}

async function startSource(lab: Lab, load: Load, n: number): Promise<Program> {
  const name = `${load.name}-${n}`;
  const file = (suffix: string) => join(lab.directory, `${name}.${suffix}`);
  await writeFile(file("xml"), load.scenario);
  await writeFile(file("csv"), credentials(load.users.filter((_, i) => i % load.sources === n)));
  return lab.programs.start({
    name,
    namespace: "lan",
    cwd: lab.directory,
    argv: [
      ...["taskset", "-c", load.cores, "sipp", `${lan.box}:${load.port}`, "-sf", file("xml"), "-inf", file("csv")],
      ...["-t", "u1", "-i", sourceOf(n), "-p", String(TELEPHONE_PORT), "-nostdin", "-nd", "-l", String(load.count)],
      ...["-r", String(load.rate), "-rp", String(load.rate_period_ms), "-m", String(load.count)],
      ...["-trace_err", "-error_file", file("err"), "-buff_size", "4194304", "-timer_resol", "1"],
    ],
  });
}

export async function startCallee(lab: Lab, address: string, cores: string): Promise<Program> {
  const file = join(lab.directory, "callee.xml");
  await writeFile(file, calleeScenario);
  return lab.programs.start({
    name: "callee",
    namespace: "outside",
    cwd: lab.directory,
    argv: [
      ...["taskset", "-c", cores, "sipp", "-sf", file, "-i", address, "-p", "5060", "-t", "u1", "-nostdin", "-nd"],
      ...["-buff_size", "4194304", "-trace_err", "-error_file", join(lab.directory, "callee.err")],
    ],
  });
}

export const telephones = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => String(FIRST_TELEPHONE + n));
