import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

/** Network namespaces of a user's own, which not every kernel allows. */
const namespaces = spawnSync("unshare", ["-Urn", "true"]).status === 0;

test.skipIf(!namespaces)(
  "announcements go out on the LAN, never by the default route over cellular",
  () => {
    const program = `
    import { systemClock } from "${join(import.meta.dirname, "../../base/clock.ts")}";
    import { parseConfig } from "${join(import.meta.dirname, "../../base/config/load.ts")}";
    import { silentLog } from "${join(import.meta.dirname, "../../base/log.ts")}";
    import { Discovery } from "${join(import.meta.dirname, "ssdp.ts")}";
    const loaded = parseConfig(\`
v: 1
org: { id: o, name: O }
site: { id: s, name: S, location: l, main_number: "+13035550100" }
box: { id: b, layout: one_armed }
lans: [{ id: lan, address: 10.77.1.2, subnets: [10.77.1.0/24] }]
paths: [{ id: lte, kind: lte, address: 198.51.100.2, interface: l0 }]
locations: [{ id: l, label: L, civic: { country: US } }]
\`, "test");
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
    const discovery = new Discovery(systemClock, silentLog);
    discovery.configure(loaded.config);
    // The first announcement comes after three seconds.
    setTimeout(() => { discovery.close(); setTimeout(() => process.exit(), 200); }, 3500);`;
    const lines = `
    set -e
    echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
    ip link set lo up
    ip link add e0 type veth peer name e1; ip link add l0 type veth peer name l1
    ip addr add 10.77.1.2/24 dev e0; ip addr add 198.51.100.2/30 dev l0
    for link in e0 e1 l0 l1; do ip link set $link up; done
    ip route add default via 198.51.100.1 dev l0
    ${process.execPath} --input-type=module-typescript -e "$PROGRAM"
    for link in e0 l0; do ip -j -s link show $link; done`;
    const ran = spawnSync("unshare", ["-Urn", "sh", "-c", lines], {
      encoding: "utf8",
      env: { ...process.env, PROGRAM: program },
    });
    if (ran.status !== 0) throw new Error(ran.stdout + ran.stderr);
    const sent = ran.stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { stats64: { tx: { bytes: number } } }[])[0]?.stats64.tx.bytes ?? 0);
    // The announcement is some 300 bytes; what else goes out there (IGMP) is shorter in sum.
    expect(sent[0]).toBeGreaterThan(300);
    expect(sent[1]).toBe(0);
  },
  20_000,
);
