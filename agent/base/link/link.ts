import { chmodSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import type { Clock, Timer } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import type { HoldfastEvent } from "../events.ts";
import type { Log } from "../log.ts";
import { LinkChannel, type LinkHandlers } from "./channel.ts";
import { RecordJournal } from "./journal.ts";
import type { ProcessName, Requests, RequestType, Telemetry, TelemetryType } from "./messages.ts";

/**
 * Adapter: Unix sockets. One process serves a socket, others connect and reconnect for ever. Two classes of message:
 * telemetry (the newest of a type survives congestion, all are lost while the other side is away) and records (kept in
 * the sender's journal until the other side has them on disk).
 */
const RECONNECT_MS = 200;

export interface LinkBasics {
  readonly socket_path: string;
  readonly name: ProcessName;
  readonly boot_id: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly handlers: LinkHandlers;
}

export interface LinkServer {
  /** To every connected process of that name. */
  telemetry<T extends TelemetryType>(to: ProcessName, type: T, data: Telemetry[T]): void;
  /** Rejects with `link.closed` when no such process is connected. */
  ask<T extends RequestType>(
    to: ProcessName,
    type: T,
    question: Requests[T]["question"],
    timeout_ms?: number,
  ): Promise<Requests[T]["answer"]>;
  connected(name: ProcessName): boolean;
  close(): Promise<void>;
}

/** Listens, replacing the stale socket of a killed predecessor. */
export function serveLink(
  basics: LinkBasics,
  onChange: (peer: ProcessName, connected: boolean) => void = () => {},
): Promise<LinkServer> {
  const channels = new Set<LinkChannel>();
  const of = (name: ProcessName) => [...channels].filter((channel) => channel.peer === name);
  const server: Server = createServer((socket) => {
    const channel: LinkChannel = new LinkChannel({
      ...basics,
      socket,
      onReady: (peer) => onChange(peer, true),
      onAck: () => {},
      onClosed: () => {
        channels.delete(channel);
        if (channel.peer !== undefined) onChange(channel.peer, of(channel.peer).length > 0);
      },
    });
    channels.add(channel);
  });
  return new Promise((resolve, reject) => {
    try {
      unlinkSync(basics.socket_path);
    } catch {
      // There was none.
    }
    server.once("error", reject);
    server.listen(basics.socket_path, () => {
      chmodSync(basics.socket_path, 0o660);
      resolve({
        telemetry(to, type, data) {
          for (const channel of of(to)) channel.telemetry(type, data);
        },
        ask(to, type, question, timeout_ms) {
          const channel = of(to).at(-1);
          if (channel === undefined) {
            return Promise.reject(new HoldfastError("link.closed", `The ${to} process is not connected.`));
          }
          return channel.ask(type, question, timeout_ms);
        },
        connected: (name) => of(name).length > 0,
        close() {
          for (const channel of channels) channel.close();
          return new Promise((done) => server.close(() => done()));
        },
      });
    });
  });
}

export interface LinkClient {
  telemetry<T extends TelemetryType>(type: T, data: Telemetry[T]): void;
  /** Journalled first, sent when and as often as needed, until acknowledged. */
  record(event: HoldfastEvent): void;
  ask<T extends RequestType>(
    type: T,
    question: Requests[T]["question"],
    timeout_ms?: number,
  ): Promise<Requests[T]["answer"]>;
  readonly connected: boolean;
  /** Records not yet acknowledged. */
  readonly waiting: number;
  close(): void;
}

/** Connects and stays connected; never waits for the other side. `journal_file` is needed by senders of records. */
export function connectLink(
  basics: LinkBasics & { readonly journal_file?: string },
  onChange: (connected: boolean) => void = () => {},
): LinkClient {
  const journal =
    basics.journal_file === undefined
      ? undefined
      : new RecordJournal(basics.journal_file, (detail) => {
          if (detail === undefined) basics.log.info("link: records are journalled again");
          else basics.log.error("link: records cannot be journalled; they are kept in memory", { detail });
        });
  /** Records that this connection has not carried yet, oldest first. */
  const unsent = new Set<string>();
  let channel: LinkChannel | undefined;
  let ready = false;
  let closed = false;
  let timer: Timer | undefined;

  // A reader that has stopped must not fill this process's memory: what it does not take stays in the journal.
  const send = () => {
    if (channel === undefined) return;
    for (const id of unsent) {
      if (channel.congested) return;
      unsent.delete(id);
      const event = journal?.get(id);
      if (event !== undefined) channel.record(event);
    }
  };

  const open = () => {
    if (closed) return;
    const socket = connect(basics.socket_path);
    const made: LinkChannel = new LinkChannel({
      ...basics,
      socket,
      onReady() {
        channel = made;
        ready = true;
        for (const { id } of journal?.pending() ?? []) unsent.add(id);
        send();
        onChange(true);
      },
      onDrained: send,
      onAck: (ids) => journal?.acknowledge(ids),
      onClosed() {
        const was = ready;
        channel = undefined;
        ready = false;
        unsent.clear();
        if (was) onChange(false);
        if (!closed) timer = basics.clock.after(RECONNECT_MS, open);
      },
    });
  };
  open();

  return {
    telemetry(type, data) {
      channel?.telemetry(type, data);
    },
    record(event) {
      if (journal === undefined) throw new Error("this link was opened without a journal");
      const dropped = journal.append(event);
      if (dropped !== undefined) unsent.delete(dropped);
      if (channel === undefined) return;
      unsent.add(event.id);
      send();
    },
    ask(type, question, timeout_ms) {
      if (channel === undefined) {
        return Promise.reject(new HoldfastError("link.closed", `${basics.socket_path} is not served right now.`));
      }
      return channel.ask(type, question, timeout_ms);
    },
    get connected() {
      return ready;
    },
    get waiting() {
      return journal?.size ?? 0;
    },
    close() {
      if (closed) return;
      closed = true;
      timer?.cancel();
      channel?.close();
      journal?.close();
    },
  };
}
