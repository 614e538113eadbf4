/**
 * Delay between the site and the internet. The kernel has no netem here, so packets of the router are led through two
 * tunnel devices whose bytes socat carries as datagrams to `servers/delay-server.ts`, which holds each one for half the
 * round-trip time. Addresses stay as they are, and every protocol is delayed.
 */
import { interfaces } from "./addresses.ts";
import { until } from "./deadline.ts";
import { type Program, type Programs, run, tryRun } from "./processes.ts";

const server = new URL("./servers/delay-server.ts", import.meta.url).pathname;
const SITE = { device: "dly-site", server_port: 9101, socat_port: 9102, table: 101 } as const;
const NET = { device: "dly-net", server_port: 9103, socat_port: 9104, table: 102 } as const;

export class DelayLine {
  readonly #programs: Programs;
  readonly #inwards: readonly string[];
  #running: Program[] = [];
  #rules: string[] = [];

  /** `siteSides`: the router's ports whose traffic to the internet is to be delayed. */
  constructor(programs: Programs, siteSides: readonly string[]) {
    this.#programs = programs;
    this.#inwards = siteSides;
  }

  async set(rtt_ms: number): Promise<void> {
    await this.#clear();
    if (rtt_ms <= 0) return;
    const settings = { delay_ms: rtt_ms / 2, sides: [SITE, NET] };
    const delay = this.#start("delay-line", [process.execPath, server, JSON.stringify(settings)]);
    await delay.line(/^ready$/, 5000);
    for (const side of [SITE, NET]) {
      this.#start(`socat-${side.device}`, [
        "socat",
        `TUN,tun-name=${side.device},iff-no-pi,iff-up,tun-type=tun`,
        `UDP4-DATAGRAM:127.0.0.1:${side.server_port},bind=127.0.0.1:${side.socat_port}`,
      ]);
    }
    for (const side of [SITE, NET]) {
      await until(`the tunnel device ${side.device}`, 3000, async () => {
        const found = await tryRun(["ip", "-n", "isp", "link", "show", side.device, "up"]);
        return found.stdout.includes(side.device) || undefined;
      });
    }
    await this.#isp([
      `route replace default dev ${SITE.device} table ${SITE.table}`,
      `route replace default dev ${NET.device} table ${NET.table}`,
    ]);
    // Traffic between two ports of the site goes by the main table, default routes left out.
    this.#rules = [
      "pref 1000 from all lookup main suppress_prefixlength 16",
      ...this.#inwards.map((port) => `pref 1001 iif ${port} lookup ${SITE.table}`),
      `pref 999 iif ${interfaces.isp.internet} lookup ${NET.table}`,
    ];
    await this.#isp(this.#rules.map((rule) => `rule add ${rule}`));
  }

  async #clear(): Promise<void> {
    await this.#isp(this.#rules.map((rule) => `rule del ${rule}`));
    this.#rules = [];
    await Promise.all(this.#running.map((program) => program.stop("SIGKILL")));
    this.#running = [];
  }

  #start(name: string, argv: readonly string[]): Program {
    const program = this.#programs.start({ name, namespace: "isp", argv });
    this.#running.push(program);
    return program;
  }

  async #isp(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await run(["ip", "-n", "isp", "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }
}
