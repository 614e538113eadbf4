/** The box's port on the switch through a burst: into a file, with room enough that no packet is missed, read afterwards. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { interfaces } from "../../lab/addresses.ts";
import { PacketReader } from "../../lab/capture/packets.ts";
import { type SeenMessage, SipReader } from "../../lab/capture/sip.ts";
import type { Lab } from "../../lab/lab.ts";
import type { Program } from "../../lab/processes.ts";

export class BurstCapture {
  readonly #program: Program;
  readonly #file: string;

  private constructor(program: Program, file: string) {
    this.#program = program;
    this.#file = file;
  }

  static async start(lab: Lab): Promise<BurstCapture> {
    const file = join(lab.directory, "burst.pcap");
    const program = lab.programs.start({
      name: "burst-capture",
      namespace: "box",
      // Room for 64 MB of packets of at most 2 kB; no change of user.
      argv: [
        ...[
          "tcpdump",
          "-Z",
          "root",
          "-i",
          interfaces.box.lan,
          "-n",
          "-s",
          "2048",
          "-B",
          "65536",
          "--immediate-mode",
          "-w",
          file,
          "udp",
        ],
      ],
    });
    await program.line(/listening on/, 5000);
    return new BurstCapture(program, file);
  }

  /** Every SIP message it saw; throws when the kernel had to leave one out. */
  async stop(): Promise<readonly SeenMessage[]> {
    await this.#program.stop("SIGINT", 5000);
    const dropped = this.#program.output.find(({ text }) => / packets dropped by kernel/.test(text))?.text;
    if (dropped === undefined || !dropped.startsWith("0 ")) throw new Error(`the capture missed packets: ${dropped}`);
    const messages: SeenMessage[] = [];
    const sip = new SipReader((message) => messages.push(message));
    new PacketReader((segment) => sip.feed(segment)).feed(await readFile(this.#file));
    return messages;
  }
}
