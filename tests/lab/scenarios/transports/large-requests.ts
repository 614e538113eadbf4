/** RFC 3261 §18.1.1: a 911 call with its location is too large for a datagram. */
import { hosts, ports } from "../../addresses.ts";
import { header } from "../../capture/sip.ts";
import { until } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { run, tryRunIn } from "../../processes.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { emergencyCall, siteIsNormal } from "../../story.ts";

const TABLE = "inet udp_only";
/** From the telephone's INVITE at the box to the one at the cloud; a connection that is refused first would not show here, one that is waited for would. */
const AT_ONCE_MS = 150;

/** The cloud's host refuses, or takes, TCP connections to its SIP port. */
async function cloudTakesTcp(takes: boolean): Promise<void> {
  const chain = `chain input { type filter hook input priority 0;\n ip daddr ${hosts.pbx} tcp dport ${ports.sip} reject with tcp reset\n }`;
  const script = takes ? `delete table ${TABLE}` : `table ${TABLE} {\n ${chain}\n }`;
  await run(["ip", "netns", "exec", "wan", "nft", "-f", "-"], { input: `${script}\n` });
}

const connections = async (): Promise<number> => {
  const { stdout } = await tryRunIn("box", ["ss", "-Htn", "state", "established", `dst ${hosts.pbx}:${ports.sip}`]);
  return stdout.split("\n").filter((line) => line !== "").length;
};

async function callOver(lab: Lab, protocol: "udp" | "tcp"): Promise<void> {
  const { invite, to_trunk_ms } = await emergencyCall(lab, lab.phones.baresip101, "cloud");
  const via = header(invite, "via") ?? "";
  expect(invite.protocol === protocol, `the 911 INVITE went over ${invite.protocol}, not ${protocol}`);
  expect(via.startsWith(`SIP/2.0/${protocol.toUpperCase()} `), `its Via says ${via}`);
  expect(invite.body.length > 1300, `its body has ${invite.body.length} bytes: no large request`);
  lab.measure(`large_911_over_${protocol}_to_trunk_ms`, to_trunk_ms);
  expect(to_trunk_ms < AT_ONCE_MS, `it took ${to_trunk_ms} ms from the telephone to the cloud`);
}

async function largeEmergencyCall(lab: Lab): Promise<void> {
  await lab.step("the cloud refuses TCP; the box and its telephones start", async () => {
    await cloudTakesTcp(false);
    await lab.box.start();
    await lab.startPhones("box");
    await siteIsNormal(lab);
  });
  await callOver(lab, "udp");
  await lab.step("the cloud takes TCP, which the box finds out at its engine's next start", async () => {
    await cloudTakesTcp(true);
    const old = await lab.box.kill("engine");
    await lab.box.back("engine", old, 5000);
    await until("a connection to the cloud to stand", 30_000, async () => (await connections()) > 0 || undefined);
    await siteIsNormal(lab);
  });
  await callOver(lab, "tcp");
}

export const largeRequests: readonly Scenario[] = [
  {
    name: "large-911-over-tcp",
    summary: "911 with its location goes over TCP to a cloud that has it, and at once over UDP to one that has not",
    short: true,
    layout: { box: "one-armed", telephones: "later", box_running: false },
    run: largeEmergencyCall,
  },
];
