/** The cable and everything that can go wrong with it. Each cut is a function, and each has its heal. */
import { interfaces, internet, type Namespace } from "./addresses.ts";
import type { DelayLine } from "./delay-line.ts";
import type { NameServers } from "./name-servers.ts";
import { type Layout, wanPort } from "./network.ts";
import { run, runIn } from "./processes.ts";

/** All telephones and the box have their sound above, and everything else below. */
const LOWEST_RTP_PORT = 10_000;

interface Route {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly metric?: number;
  readonly table?: string;
}

export class Cuts {
  readonly #layout: Layout;
  readonly #names: NameServers;
  readonly #delay: DelayLine;
  #blackHole = false;
  #unreachable = false;
  #loss_percent = 0;
  #sound = true;
  #silentHosts: { readonly on: "wan" | "lte"; readonly address: string }[] = [];
  #withdrawn: string[] = [];

  constructor(layout: Layout, names: NameServers, delay: DelayLine) {
    this.#layout = layout;
    this.#names = names;
    this.#delay = delay;
  }

  /** Two-port: the cable between the box's WAN port and the provider is pulled; the box's carrier goes. */
  async linkDown(): Promise<void> {
    if (this.#layout.box !== "two-port") throw new Error("only a two-port box has a WAN cable of its own to pull");
    await setLink("isp", interfaces.isp.site, "down");
  }

  async linkUp(): Promise<void> {
    await setLink("isp", interfaces.isp.site, "up");
  }

  /** The box loses its default routes by the WAN, as when a DHCP lease ends or a network manager tidies up. */
  async routeWithdrawn(): Promise<void> {
    const port = wanPort(this.#layout);
    const all = JSON.parse(await run(["ip", "-n", "box", "-j", "route", "show", "table", "all"])) as Route[];
    const lost = all.filter((route) => route.dst === "default" && route.dev === port.interface);
    if (lost.length === 0) throw new Error(`the box has no default route by ${port.interface} to withdraw`);
    this.#withdrawn = lost.map(
      (route) =>
        `default${route.gateway === undefined ? "" : ` via ${route.gateway}`} dev ${port.interface}` +
        `${route.metric === undefined ? "" : ` metric ${route.metric}`}` +
        `${route.table === undefined ? "" : ` table ${route.table}`}`,
    );
    await batch(
      "box",
      this.#withdrawn.map((route) => `route del ${route}`),
    );
  }

  async routeBack(): Promise<void> {
    await batch(
      "box",
      this.#withdrawn.map((route) => `route replace ${route}`),
    );
    this.#withdrawn = [];
  }

  /** Upstream of the router everything is swallowed, both ways; the router itself still answers. */
  async blackHole(): Promise<void> {
    this.#blackHole = true;
    await this.#applyForwarding();
  }

  /** The router answers "host unreachable" for everything beyond it. */
  async unreachable(): Promise<void> {
    this.#unreachable = true;
    await this.#applyForwarding();
  }

  /** Each packet is lost with this chance, on the way out and again on the way in. */
  async loss(percent: number): Promise<void> {
    this.#loss_percent = percent;
    await this.#applyForwarding();
  }

  /** What is no signalling and no DNS is swallowed, both ways: a firewall that lets SIP through and RTP not. */
  async soundSwallowed(): Promise<void> {
    this.#sound = false;
    await this.#applyForwarding();
  }

  async forwardingHealed(): Promise<void> {
    this.#sound = true;
    this.#blackHole = false;
    this.#unreachable = false;
    this.#loss_percent = 0;
    await this.#applyForwarding();
  }

  /** The router's DNS, and those beyond it, answer SERVFAIL. */
  async dnsFails(): Promise<void> {
    await this.#names.set("servfail");
  }

  async dnsHealed(): Promise<void> {
    await this.#names.set("answer");
  }

  /** The router has no power: gateway, DNS, DHCP and the way out are gone; the switch lives, so no link goes down. */
  async routerOff(): Promise<void> {
    await setLink("isp", interfaces.isp.lan, "down");
    await setLink("isp", interfaces.isp.internet, "down");
    if (this.#layout.box === "two-port") await setLink("isp", interfaces.isp.site, "down");
  }

  async routerOn(): Promise<void> {
    await setLink("isp", interfaces.isp.lan, "up");
    await setLink("isp", interfaces.isp.internet, "up");
    // A port that was down has lost the routes through it on its own side; the other side only lost carrier.
    await batch("isp", [`route replace default via ${internet.edge}`]);
    if (this.#layout.box === "two-port") await setLink("isp", interfaces.isp.site, "up");
  }

  /** Round-trip time added between the site and the internet, for every protocol; 0 takes the delay away. */
  async delay(rtt_ms: number): Promise<void> {
    await this.#delay.set(rtt_ms);
  }

  /** No name server answers any more, the carrier's neither. */
  async everyDnsDead(): Promise<void> {
    await Promise.all([this.#names.set("silent"), this.#names.setCarrier("silent")]);
  }

  /** One host of the internet, or of the carrier, stops answering: what is sent to it is swallowed at its door. */
  async hostSilent(address: string, on: "wan" | "lte" = "wan"): Promise<void> {
    this.#silentHosts = [...this.#silentHosts, { on, address }];
    await this.#applyHosts(on);
  }

  async hostBack(address: string, on: "wan" | "lte" = "wan"): Promise<void> {
    this.#silentHosts = this.#silentHosts.filter((silent) => silent.address !== address);
    await this.#applyHosts(on);
  }

  /** The cellular link itself. */
  async cellularDown(): Promise<void> {
    await setLink("lte", interfaces.lte.cell, "down");
  }

  async cellularUp(): Promise<void> {
    await setLink("lte", interfaces.lte.cell, "up");
  }

  async #applyForwarding(): Promise<void> {
    const edge = interfaces.isp.internet;
    const rules: string[] = [];
    if (this.#unreachable) rules.push(`oifname "${edge}" reject with icmp type host-unreachable`);
    if (this.#blackHole) rules.push(`oifname "${edge}" drop`, `iifname "${edge}" drop`);
    if (this.#loss_percent > 0) {
      const lost = `numgen random mod 10000 < ${Math.round(this.#loss_percent * 100)} drop`;
      rules.push(`oifname "${edge}" ${lost}`, `iifname "${edge}" ${lost}`);
    }
    if (!this.#sound) rules.push(`udp sport >= ${LOWEST_RTP_PORT} udp dport >= ${LOWEST_RTP_PORT} drop`);
    await chain("isp", "forward", rules);
  }

  async #applyHosts(on: "wan" | "lte"): Promise<void> {
    await chain(
      on,
      "input",
      this.#silentHosts.flatMap((silent) => (silent.on === on ? [`ip daddr ${silent.address} drop`] : [])),
    );
  }
}

/** Replaces the lab's rules in one hook at once. Priority -10: before anything a router might do itself. */
async function chain(namespace: Namespace, hook: "forward" | "input", rules: readonly string[]): Promise<void> {
  const lines = [
    `add table inet lab_${hook}`,
    `delete table inet lab_${hook}`,
    `table inet lab_${hook} {`,
    `  chain ${hook} {`,
    `    type filter hook ${hook} priority -10; policy accept;`,
    ...rules.map((rule) => `    ${rule}`),
    "  }",
    "}",
  ];
  await runIn(namespace, ["nft", "-f", "-"], { input: `${lines.join("\n")}\n` });
}

const setLink = (namespace: Namespace, port: string, state: "up" | "down"): Promise<string> =>
  run(["ip", "-n", namespace, "link", "set", port, state]);

async function batch(namespace: Namespace, lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await run(["ip", "-n", namespace, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}
