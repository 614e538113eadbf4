/** The DNS servers of the lab (router, internet, carrier) and the UDP echo beside the two public ones. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cellular, hosts, lan, type Namespace, names, ports } from "./addresses.ts";
import type { Programs } from "./processes.ts";

export type DnsMode = "answer" | "servfail" | "silent";

const program = new URL("./servers/dns-echo-server.ts", import.meta.url).pathname;

export class NameServers {
  readonly #modeFile: string;

  private constructor(modeFile: string) {
    this.#modeFile = modeFile;
  }

  static async start(programs: Programs, runDirectory: string): Promise<NameServers> {
    const modeFile = join(runDirectory, "dns-mode");
    const carrierMode = join(runDirectory, "dns-mode-carrier");
    await writeFile(modeFile, "answer");
    await writeFile(carrierMode, "answer");
    const start = async (namespace: Namespace, dns: string, echo: readonly string[], mode: string) => {
      const settings = { dns, dns_port: ports.dns, echo, echo_port: ports.echo, names, mode_file: mode };
      const argv = [process.execPath, program, JSON.stringify(settings)];
      await programs.start({ name: `dns-${namespace}`, namespace, argv }).line(/^ready$/, 5000);
    };
    await Promise.all([
      start("isp", lan.router, [], modeFile),
      start("wan", hosts.dns, [hosts.echo], modeFile),
      start("lte", hosts.lteDns, [hosts.lteEcho, cellular.edge], carrierMode),
    ]);
    return new NameServers(modeFile);
  }

  /** How the router's and the internet's servers behave; the carrier's own always answers. */
  async set(mode: DnsMode): Promise<void> {
    await writeFile(this.#modeFile, mode);
  }
}
