/** The light telephone of the trials, as the bench handles it. */
import type { Extension } from "../../lab/addresses.ts";
import { domains, lan } from "../../lab/addresses.ts";
import { Journal } from "../../lab/deadline.ts";
import type { Program, Programs } from "../../lab/processes.ts";

interface To {
  readonly server: string;
  readonly port: number;
}

export type PhoneCommand =
  | ({ readonly do: "register"; readonly id: number; readonly domain: string } & To & {
        readonly user: string;
        readonly password: string;
      })
  | ({ readonly do: "invite"; readonly id: number; readonly domain: string } & To & {
        readonly user: string;
        readonly target: string;
      })
  | { readonly do: "cancel"; readonly id: number };

export interface PhoneReport {
  /** Of the command that it answers. */
  readonly id: number;
  readonly status: number;
  readonly final: boolean;
}

const program = new URL("../servers/phone.ts", import.meta.url).pathname;

export class Phone {
  readonly address: string;
  readonly #account: Extension;
  readonly #program: Program;
  readonly #reports = new Journal<PhoneReport>();
  #next = 1;

  private constructor(account: Extension, started: Program) {
    this.#account = account;
    this.address = account.address;
    this.#program = started;
    started.output
      .next("(every line)", 2 ** 31 - 1, ({ text }) => {
        if (text.startsWith("{")) this.#reports.push(JSON.parse(text) as PhoneReport);
        return false;
      })
      .catch(() => {});
  }

  static async start(programs: Programs, account: Extension): Promise<Phone> {
    const local = JSON.stringify({ address: account.address, port: account.sip_port });
    const argv = [process.execPath, "--disable-warning=ExperimentalWarning", program, local];
    const started = programs.start({ name: `phone-${account.user}`, namespace: account.namespace, argv });
    await started.line(/^ready$/, 5000);
    return new Phone(account, started);
  }

  /** Registers by the branch server that listens on `port`; resolves with the final status. */
  async register(port: number): Promise<number> {
    const id = this.#next++;
    const { user, password } = this.#account;
    this.#send({ do: "register", id, user, password, domain: domains.pbx, server: lan.box, port });
    return (await this.#report("its REGISTER to be answered", 10_000, id, ({ final }) => final)).status;
  }

  /** Dials by the branch server on `port`; resolves at once with a number for the call. */
  dial(target: string, port: number): number {
    const id = this.#next++;
    const { user } = this.#account;
    this.#send({ do: "invite", id, user, target, domain: domains.pbx, server: lan.box, port });
    return id;
  }

  cancel(id: number): void {
    this.#send({ do: "cancel", id });
  }

  /** Waits for 18x; false when there was none by then or the call is over. */
  async rings(id: number, deadline_ms: number): Promise<boolean> {
    const rings = ({ status, final }: PhoneReport) => final || status >= 180;
    const seen = await this.#report("ringing", deadline_ms, id, rings).catch(() => undefined);
    return seen !== undefined && !seen.final;
  }

  /** Waits for the call's end; resolves with its final status. */
  async over(id: number, deadline_ms: number): Promise<number> {
    return (await this.#report("the call to end", deadline_ms, id, ({ final }) => final)).status;
  }

  #send(command: PhoneCommand): void {
    this.#program.write(`${JSON.stringify(command)}\n`);
  }

  #report(what: string, deadline_ms: number, id: number, wanted: (report: PhoneReport) => boolean) {
    return this.#reports.next(what, deadline_ms, (report) => report.id === id && wanted(report));
  }
}
