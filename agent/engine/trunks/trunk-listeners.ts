import { errorText } from "../../base/errors.ts";
import type { Flow, Protocol } from "../../sip/transport/flow.ts";
import type { Listener } from "../../sip/transport/transport.ts";
import type { ConnectionPorts } from "./connection-ports.ts";

/** A trunk's local ports on its path's address. */
export class TrunkListeners {
  readonly #ports: Pick<ConnectionPorts, "transport" | "peer" | "failed">;
  #listeners: readonly Listener[] = [];
  #boundTo: string | undefined;

  constructor(ports: Pick<ConnectionPorts, "transport" | "peer" | "failed">) {
    this.#ports = ports;
  }

  get boundTo(): string | undefined {
    return this.#boundTo;
  }

  /** Whether a flow came to one of them. */
  took(flow: Flow): boolean {
    return this.#listeners.some(
      (listener) =>
        listener.protocol === flow.protocol &&
        listener.address === flow.local.address &&
        listener.port === flow.local.port,
    );
  }

  /** Binds to another address; to none when it is undefined. Whether there are sockets now. */
  async move(address: string | undefined): Promise<boolean> {
    const { transport, peer, failed } = this.#ports;
    await this.close();
    if (address === undefined) return false;
    const opened: Listener[] = [];
    try {
      for (const protocol of this.#protocols) {
        const tls = protocol === "tls" ? { tls: peer.tls } : {};
        opened.push(await transport.listen({ protocol, address, port: peer.local_port, ...tls }));
      }
    } catch (error) {
      // Half a pair is of no use; the address may still be on its way up.
      await Promise.all(opened.map((listener) => listener.close()));
      failed("listen", { code: "listen", detail: errorText(error) });
      return false;
    }
    this.#listeners = opened;
    this.#boundTo = address;
    return true;
  }

  async close(): Promise<void> {
    const old = this.#listeners;
    this.#listeners = [];
    this.#boundTo = undefined;
    await Promise.all(old.map((listener) => listener.close()));
  }

  /** Where TLS is wanted nothing else is taken: who is not asked for a certificate could be anybody. */
  get #protocols(): readonly Protocol[] {
    const { transport, listens_tls } = this.#ports.peer;
    if (transport !== "tls") return ["udp", "tcp"];
    return listens_tls ? ["tls"] : [];
  }
}
