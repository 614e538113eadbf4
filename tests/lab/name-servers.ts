/** The DNS servers of the lab (router, internet, carrier) and the UDP echo beside the two public ones. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Answer } from "dns-packet";
import { cellular, hosts, lan, type Namespace, names, ports } from "./addresses.ts";
import type { Programs } from "./processes.ts";

export type DnsMode = "answer" | "servfail" | "silent";

const program = new URL("./servers/dns-echo-server.ts", import.meta.url).pathname;

export class NameServers {
  readonly #modeFile: string;
  readonly #carrierMode: string;
  readonly #recordsFile: string;

  private constructor(modeFile: string, carrierMode: string, recordsFile: string) {
    this.#modeFile = modeFile;
    this.#carrierMode = carrierMode;
    this.#recordsFile = recordsFile;
  }

  static async start(programs: Programs, runDirectory: string): Promise<NameServers> {
    const modeFile = join(runDirectory, "dns-mode");
    const carrierMode = join(runDirectory, "dns-mode-carrier");
    await writeFile(modeFile, "answer");
    await writeFile(carrierMode, "answer");
    const recordsFile = join(runDirectory, "dns-records");
    await writeFile(recordsFile, "{}");
    const start = async (namespace: Namespace, dns: string, echo: readonly string[], mode: string) => {
      const echoes = { echo, echo_port: ports.echo };
      const settings = { dns, dns_port: ports.dns, ...echoes, names, mode_file: mode, records_file: recordsFile };
      const argv = [process.execPath, program, JSON.stringify(settings)];
      await programs.start({ name: `dns-${namespace}`, namespace, argv }).line(/^ready$/, 5000);
    };
    await Promise.all([
      start("isp", lan.router, [], modeFile),
      start("wan", hosts.dns, [hosts.echo], modeFile),
      start("lte", hosts.lteDns, [hosts.lteEcho, cellular.edge], carrierMode),
    ]);
    return new NameServers(modeFile, carrierMode, recordsFile);
  }

  /** How the router's and the internet's servers behave; the carrier's own goes on answering. */
  async set(mode: DnsMode): Promise<void> {
    await writeFile(this.#modeFile, mode);
  }

  async setCarrier(mode: DnsMode): Promise<void> {
    await writeFile(this.#carrierMode, mode);
  }

  /** Records besides the addresses of the lab's names, by `TYPE name`; all servers have them. */
  async setRecords(records: Readonly<Record<string, readonly Answer[]>>): Promise<void> {
    await writeFile(this.#recordsFile, JSON.stringify(records));
  }
}
