import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseConfig } from "../base/config/load.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import { checkNet } from "./check.ts";
import { firewallScript } from "./firewall.ts";
import type { Kernel } from "./kernel.ts";
import { type NetFacts, network, planNet, routeWords, ruleWords } from "./plan.ts";

const SITE = (paths: string, layout = "one_armed") => `
v: 1
org: { id: o, name: O }
site: { id: s, name: S, location: l, main_number: "+13035550100" }
box: { id: b, layout: ${layout} }
lans: [{ id: lan, address: 10.77.1.2, subnets: [10.77.1.0/24] }]
paths: ${paths}
pbx_targets: [{ id: cloud, path: wan, domain: pbx.example, host: 203.0.113.10 }]
trunks: [{ id: line, path: wan, roles: [emergency], host: line.example, carrier_profile: p }]
carrier_profiles: [{ id: p }]
locations: [{ id: l, label: L, civic: { country: US } }]
`;
const REAL = `
  - { id: wan, kind: wan, interface: e0, address: 10.77.1.2, gateway: 10.77.1.1, table: 201 }
  - { id: lte, kind: lte, interface: l0, table: 202 }`;

function site(text: string): SiteConfig {
  const loaded = parseConfig(text, "test");
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  return loaded.config;
}

const facts: NetFacts = {
  addresses: [
    { interface: "lo", address: "127.0.0.1", prefix: 8 },
    { interface: "e0", address: "10.77.1.2", prefix: 24 },
    { interface: "l0", address: "198.51.100.2", prefix: 30 },
  ],
  defaults: [{ interface: "l0", gateway: "198.51.100.1", v6: false }],
};

describe("the plan for the kernel", () => {
  test("gives each path a rule by its address and a table that ends in unreachable", () => {
    const plan = planNet(site(SITE(REAL)), facts);
    expect(plan.faults).toEqual([]);
    expect(plan.rules.map((rule) => ruleWords("add", rule).join(" "))).toEqual([
      "-4 rule add priority 10000 from 10.77.1.2 lookup 201 protocol 172",
      "-4 rule add priority 10010 from 198.51.100.2 lookup 202 protocol 172",
    ]);
    expect(plan.routes.map((route) => routeWords("replace", route).join(" "))).toEqual([
      "-4 route replace 10.77.1.0/24 dev e0 src 10.77.1.2 scope link table 201 proto 172",
      "-4 route replace default via 10.77.1.1 dev e0 src 10.77.1.2 table 201 proto 172",
      "-4 route replace unreachable default metric 4278198272 table 201 proto 172",
      "-4 route replace 198.51.100.0/30 dev l0 src 198.51.100.2 scope link table 202 proto 172",
      "-4 route replace 10.77.1.0/24 dev e0 src 198.51.100.2 scope link table 202 proto 172",
      "-4 route replace default via 198.51.100.1 dev l0 src 198.51.100.2 table 202 proto 172",
      "-4 route replace unreachable default metric 4278198272 table 202 proto 172",
    ]);
  });

  test("names a path that has no address or gateway, and pins the others", () => {
    const plan = planNet(site(SITE(REAL)), { addresses: facts.addresses.slice(0, 2), defaults: [] });
    expect(plan.faults).toEqual([{ path: "lte", detail: "l0 has no address" }]);
    expect(plan.rules).toHaveLength(1);
  });

  test("needs nothing in practice", async () => {
    const config = site(SITE("[{ id: wan, kind: wan, address: 127.0.1.1 }]"));
    expect(planNet(config, facts)).toEqual({ rules: [], routes: [], sysctls: [], firewall: undefined, faults: [] });
    const untouchable: Kernel = {
      ip: () => Promise.reject(new Error("asked")),
      nft: () => Promise.reject(new Error("asked")),
      nftList: () => Promise.reject(new Error("asked")),
      readSysctl: () => undefined,
      writeSysctl() {},
    };
    expect(await checkNet(config, untouchable)).toEqual([]);
  });

  test("knows the network of an address", () => {
    expect(network("10.77.1.2", 24)).toBe("10.77.1.0/24");
    expect(network("198.51.100.2", 30)).toBe("198.51.100.0/30");
    expect(network("10.0.0.9", 32)).toBe("10.0.0.9");
    expect(network("2001:db8:0:5::77", 64)).toBe("2001:db8:0:5::/64");
  });
});

describe("the firewall", () => {
  test("keeps a bucket for INVITEs to 911 before the common one", () => {
    const script = firewallScript(site(SITE(REAL))) ?? "";
    const sos = Buffer.from("INVITE sip:911@").toString("hex");
    expect(script).toContain(`@th,64,120 0x${sos} update @sos4`);
    expect(script.indexOf(sos)).toBeLessThan(script.indexOf("limit rate over 1000/second"));
  });

  test("lets SIP in from a trunk's own address only, where the site file gives one", () => {
    const script = firewallScript(site(SITE(REAL))) ?? "";
    expect(script).toContain("ip saddr 203.0.113.10 meta l4proto { tcp, udp } th dport 5062 accept");
    expect(script).toContain("    meta l4proto { tcp, udp } th dport 5070 accept");
  });

  test("bounds connections to the phones' TLS port as well", () => {
    const text = SITE(REAL).replace("[10.77.1.0/24] }", "[10.77.1.0/24], tls: { certificate: box } }");
    const certificate = "certificates: [{ id: box, certificate_file: /box.pem, key_file: /box.key }]\n";
    const script = firewallScript(site(certificate + text)) ?? "";
    expect(script).toContain("tcp dport { 5060, 5061 } ct state new update @connections4");
    expect(script).not.toContain("udp dport { 5060, 5061 }");
  });

  test("believes no LAN source on a cable of its own", () => {
    const one = firewallScript(site(SITE(REAL))) ?? "";
    const two = firewallScript(site(SITE(REAL.replace("10.77.1.2", "10.77.2.2"), "two_port"))) ?? "";
    const fromLan = "ip saddr @lan4 goto lan";
    expect(one.indexOf('iifname "e0" goto outside')).toBeGreaterThan(one.indexOf(fromLan));
    expect(one.indexOf('iifname "l0" goto outside')).toBeLessThan(one.indexOf(fromLan));
    expect(two.indexOf('iifname "e0" goto outside')).toBeLessThan(two.indexOf(fromLan));
  });
});

/** Network namespaces of a user's own, which not every kernel allows. */
const namespaces = spawnSync("unshare", ["-Urn", "nft", "list", "tables"]).status === 0;

describe.skipIf(!namespaces)("in a network namespace", () => {
  const folder = mkdtempSync(join(tmpdir(), "net-"));
  const file = join(folder, "site.yaml");
  writeFileSync(file, SITE(REAL));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Runs shell lines in a fresh namespace with a LAN and an LTE interface; `net` is the helper. */
  function inside(lines: string): string[] {
    const setup = `
      set -e
      net() { ${process.execPath} ${join(import.meta.dirname, "main.ts")} "$@" --config ${file}; }
      ip link set lo up
      ip link add e0 type veth peer name e1; ip link add l0 type veth peer name l1
      ip addr add 10.77.1.2/24 dev e0; ip addr add 198.51.100.2/30 dev l0
      for link in e0 e1 l0 l1; do ip link set $link up; done
      ip route add default via 198.51.100.1 dev l0`;
    const ran = spawnSync("unshare", ["-Urn", "sh", "-c", `${setup}\n${lines}`], { encoding: "utf8" });
    if (ran.status !== 0) throw new Error(ran.stdout + ran.stderr);
    return ran.stdout.trim().split("\n");
  }

  test("apply makes what check asks for, does nothing the second time, and down leaves nothing behind", () => {
    const lines = inside(`
      net check 2>/dev/null && exit 9
      net apply >/dev/null
      net check
      echo "again: $(net apply)"
      ip route get 192.0.2.1 from 10.77.1.2 | head -1
      ip route get 192.0.2.1 from 198.51.100.2 | head -1
      net down >/dev/null
      echo "rules: $(ip rule | grep -c protocol || true)"
      echo "routes: $(ip route show table all proto 172 | wc -l)"
      nft list tables | wc -l`);
    expect(lines).toEqual([
      "Rules, tables and firewall are in place.",
      "again: ",
      expect.stringContaining("via 10.77.1.1 dev e0 table 201"),
      expect.stringContaining("via 198.51.100.1 dev l0 table 202"),
      "rules: 0",
      "routes: 0",
      "0",
    ]);
  });

  test("a packet of a path that is cut goes nowhere, although the other path has a default route", () => {
    const lines = inside(`
      net apply >/dev/null
      ip link set e1 down; sleep 0.1
      ip route get 203.0.113.9 from 10.77.1.2 2>&1 || true
      net check`);
    expect(lines[0]).toContain("RTNETLINK answers: No route to host");
    expect(lines[1]).toBe("Rules, tables and firewall are in place.");
  });

  test("check names what was taken away", () => {
    const lines = inside(`
      net apply >/dev/null
      ip rule del from 198.51.100.2 table 202
      net check 2>&1 || true
      net apply >/dev/null; net check`);
    expect(lines[0]).toContain("lte: no rule from 198.51.100.2 to table 202. Run `holdfast net apply` as root");
    expect(lines[1]).toBe("Rules, tables and firewall are in place.");
  });

  test("check sees a firewall that was emptied", () => {
    const lines = inside(`
      net apply >/dev/null; net check
      nft flush chain inet holdfast outside; net check 2>&1 || true
      nft flush table inet holdfast; net check 2>&1 || true`);
    expect(lines.map((line) => line.replace(/\. Run .*/, ""))).toEqual([
      "Rules, tables and firewall are in place.",
      "firewall: nftables table inet holdfast lacks rules of its chain outside",
      "firewall: nftables table inet holdfast lacks rules of its chain input",
    ]);
  });

  test("check sees a firewall that lost a rule, or is another site file's", () => {
    const lines = inside(`
      net apply >/dev/null
      nft delete rule inet holdfast outside handle $(nft -a list chain inet holdfast outside | sed -n 's/.*counter packets.* drop # handle //p' | tail -1)
      net check 2>&1 || true
      net apply >/dev/null; sed 's/203.0.113.10/203.0.113.11/' ${file} > ${file}.2
      ${process.execPath} ${join(import.meta.dirname, "main.ts")} check --config ${file}.2 2>&1 || true
      net check`);
    expect(lines.map((line) => line.replace(/\. Run .*/, ""))).toEqual([
      "firewall: nftables table inet holdfast lacks rules of its chain outside",
      "firewall: nftables table inet holdfast is that of another site file or release",
      "Rules, tables and firewall are in place.",
    ]);
  });

  test("check without privilege says what it could not look at, and what to do", () => {
    const lines = inside(`
      net apply >/dev/null
      setpriv --bounding-set=-all --inh-caps=-all ${process.execPath} ${join(import.meta.dirname, "main.ts")} check --config ${file} 2>&1 || true`);
    expect(lines).toEqual([
      expect.stringMatching(
        /^firewall: nftables cannot be looked at without CAP_NET_ADMIN\. .*sudo holdfast net check/,
      ),
    ]);
  });

  test("a new address moves the rule and removes the old one", () => {
    const lines = inside(`
      net apply >/dev/null
      ip addr flush dev l0; ip addr add 198.51.100.6/30 dev l0; ip route add default via 198.51.100.5 dev l0
      net apply >/dev/null; net check
      ip rule | grep -c 'lookup 202'`);
    expect(lines).toEqual(["Rules, tables and firewall are in place.", "1"]);
  });

  test("outside, only a peer's SIP, media and answers come in; a LAN phone that floods keeps its 911 bucket", () => {
    const receiver = `
      const { createSocket } = require("node:dgram");
      const seen = {};
      for (const port of [5060, 5062, 8080, 20000]) {
        createSocket({ type: "udp4", recvBufferSize: 4e6 }).on("message", (bytes, from) => {
          const key = [from.address, port, String(bytes).split(" ")[1]].join(" ");
          seen[key] = (seen[key] ?? 0) + 1;
        }).bind(port, "10.77.1.2");
      }
      setTimeout(() => { console.log(JSON.stringify(seen)); process.exit(); }, 2500);`;
    const sender = `
      const { createSocket } = require("node:dgram");
      const send = (from, port, text, times) => new Promise((done) => {
        const socket = createSocket("udp4");
        socket.bind(0, from, () => {
          let left = times;
          const next = () => (left-- > 0 ? socket.send(text, port, "10.77.1.2", next) : (socket.close(), done()));
          next();
        });
      });
      (async () => {
        for (const from of ["203.0.113.66", "203.0.113.10"]) {
          for (const port of [5060, 5062, 8080, 20000]) await send(from, port, "X probe", 1);
        }
        await send("10.77.1.9", 5060, "REGISTER flood SIP/2.0", 6000);
        await send("10.77.1.9", 5060, "INVITE sip:911@10.77.1.2 SIP/2.0", 20);
      })();`;
    const lines = inside(`
      net apply >/dev/null
      unshare -n sleep 20 & peer=$!
      until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
      ip link set e1 netns $peer
      in_peer() { nsenter -n -t $peer "$@"; }
      in_peer ip link set lo up
      in_peer ip addr add 10.77.1.9/24 dev e1
      in_peer ip addr add 203.0.113.66/32 dev e1; in_peer ip addr add 203.0.113.10/32 dev e1
      in_peer ip link set e1 up
      ${process.execPath} -e '${receiver}' > ${join(folder, "seen")} & receiver=$!
      sleep 0.7
      in_peer ${process.execPath} -e '${sender}'
      wait $receiver
      kill $peer
      cat ${join(folder, "seen")}`);
    const seen = JSON.parse(lines.at(-1) ?? "{}") as Record<string, number>;
    const outside = Object.keys(seen).filter((key) => key.startsWith("203."));
    expect(outside.sort()).toEqual(["203.0.113.10 20000 probe", "203.0.113.10 5062 probe", "203.0.113.66 20000 probe"]);
    // The bucket holds 2,000 and is filled by 1,000 a second.
    expect(seen["10.77.1.9 5060 flood"]).toBeGreaterThan(1_900);
    expect(seen["10.77.1.9 5060 flood"]).toBeLessThan(4_500);
    expect(seen["10.77.1.9 5060 sip:911@10.77.1.2"]).toBe(20);
  }, 20_000);
});
