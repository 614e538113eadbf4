/**
 * Adapter: net. Talks to a telephone's control port (JSON in netstrings over TCP, baresip's ctrl_tcp). The port is in
 * another network namespace; socat carries it to a Unix socket, which has none.
 */
import { connect, type Socket } from "node:net";
import { until } from "../deadline.ts";

export interface ControlEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

interface Reply {
  readonly response: true;
  readonly ok: boolean;
  readonly data: string;
  readonly token?: string;
}

export class ControlSocket {
  readonly #socket: Socket;
  readonly #onEvent: (event: ControlEvent) => void;
  readonly #waiting = new Map<string, (reply: Reply) => void>();
  #rest = Buffer.alloc(0);
  #token = 0;

  private constructor(socket: Socket, onEvent: (event: ControlEvent) => void) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    socket.on("data", (bytes) => this.#read(bytes));
    socket.on("error", () => {});
  }

  static async open(path: string, onEvent: (event: ControlEvent) => void): Promise<ControlSocket> {
    const socket = await until(`the control socket ${path}`, 5000, () => tryConnect(path));
    return new ControlSocket(socket, onEvent);
  }

  /** Sends a command and resolves with the telephone's answer; rejects when it says no. */
  async command(command: string, params = ""): Promise<string> {
    const token = `t${this.#token++}`;
    const text = JSON.stringify({ command, params, token });
    const reply = await until(
      `an answer to ${command} ${params}`,
      5000,
      (() => {
        let answer: Reply | undefined;
        this.#waiting.set(token, (got) => {
          answer = got;
        });
        this.#socket.write(`${Buffer.byteLength(text)}:${text},`);
        return () => answer;
      })(),
      2,
    );
    if (!reply.ok) throw new Error(`the telephone refused "${command} ${params}": ${reply.data.trim()}`);
    return reply.data;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const colon = this.#rest.indexOf(":");
      if (colon < 0) return;
      const length = Number(this.#rest.toString("latin1", 0, colon));
      if (!Number.isInteger(length)) throw new Error("the telephone's control port sent no netstring");
      if (this.#rest.length < colon + 1 + length + 1) return;
      const message = JSON.parse(this.#rest.toString("utf8", colon + 1, colon + 1 + length)) as unknown;
      this.#rest = this.#rest.subarray(colon + 1 + length + 1);
      this.#take(message as Record<string, unknown>);
    }
  }

  #take(message: Record<string, unknown>): void {
    if (message.response === true) {
      const reply = message as unknown as Reply;
      this.#waiting.get(reply.token ?? "")?.(reply);
      this.#waiting.delete(reply.token ?? "");
    } else if (message.event === true) {
      this.#onEvent(message as unknown as ControlEvent);
    }
  }
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}
