import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import { createEventFactory, type HoldfastEvent } from "../events.ts";
import { silentLog } from "../log.ts";
import type { LinkHandlers } from "./channel.ts";
import { RecordJournal } from "./journal.ts";
import { connectLink, type LinkClient, type LinkServer, serveLink } from "./link.ts";
import type { ProcessName } from "./messages.ts";

const event = createEventFactory(
  systemClock,
  () => ({ org: "acme", site: "denver", box: "box-1", boot_id: "b", practice: true }),
  () => "synchronised",
);
const made = (code: string) => event("config.applied", "", { config_hash: code });

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const item of open.splice(0).reverse()) await item.close();
});

function basics(name: ProcessName, socket_path: string, handlers: LinkHandlers) {
  return { name, socket_path, boot_id: "b", clock: systemClock, log: silentLog, handlers };
}

async function server(path: string, handlers: LinkHandlers): Promise<LinkServer> {
  const made = await serveLink(basics("site", path, handlers));
  open.push(made);
  return made;
}

function client(path: string, journal_file: string, handlers: LinkHandlers = {}) {
  const waiters: (() => void)[] = [];
  const link: LinkClient = connectLink({ ...basics("engine", path, handlers), journal_file }, (connected) => {
    if (connected) for (const waiter of waiters.splice(0)) waiter();
  });
  open.push(link);
  const connected = () => (link.connected ? Promise.resolve() : new Promise<void>((yes) => waiters.push(yes)));
  return { link, connected };
}

function folder() {
  const path = mkdtempSync(join(tmpdir(), "link-"));
  return { socket: join(path, "s.sock"), journal: join(path, "engine.journal") };
}

/** Resolves with what came once `count` records have. */
function collector(count: number, acknowledge: boolean) {
  const got: HoldfastEvent[] = [];
  let done: (events: HoldfastEvent[]) => void = () => {};
  const all = new Promise<HoldfastEvent[]>((yes) => {
    done = yes;
  });
  const record = (item: HoldfastEvent, ack: () => void) => {
    got.push(item);
    if (acknowledge) ack();
    if (got.length === count) done(got);
  };
  return { all, handlers: { record } satisfies LinkHandlers };
}

describe("records", () => {
  test("made while the other side is away arrive when it comes", async () => {
    const { socket, journal } = folder();
    const { link } = client(socket, journal);
    link.record(made("one"));
    link.record(made("two"));
    const { all, handlers } = collector(2, true);
    await server(socket, handlers);
    expect((await all).map((item) => item.data)).toEqual([{ config_hash: "one" }, { config_hash: "two" }]);
  });

  test("not acknowledged before the sender was killed are sent by its successor", async () => {
    const { socket, journal } = folder();
    const first = collector(1, false);
    const away = await serveLink(basics("site", socket, first.handlers));
    const before = client(socket, journal);
    before.link.record(made("kept"));
    await first.all;
    before.link.close();
    await away.close();

    const second = collector(1, true);
    await server(socket, second.handlers);
    const after = client(socket, journal);
    expect((await second.all)[0]?.data).toEqual({ config_hash: "kept" });
    await after.connected();
  });

  test("acknowledged ones leave the journal", () => {
    const { journal } = folder();
    const book = new RecordJournal(journal);
    const events = Array.from({ length: 1200 }, (_, i) => made(String(i)));
    for (const item of events) book.append(item);
    book.acknowledge(events.slice(0, 1199).map((item) => item.id));
    book.close();
    const reopened = new RecordJournal(journal);
    expect(reopened.pending().map((item) => item.data)).toEqual([{ config_hash: "1199" }]);
    reopened.close();
  });

  test("a half-written last line costs only itself", () => {
    const { journal } = folder();
    writeFileSync(journal, `${JSON.stringify(made("whole"))}\n{"id":"01J`);
    const book = new RecordJournal(journal);
    expect(book.pending().map((item) => item.data)).toEqual([{ config_hash: "whole" }]);
    book.close();
  });

  test("are kept in memory while the journal cannot be written, and the sender goes on", () => {
    const { journal } = folder();
    mkdirSync(journal);
    const faults: (string | undefined)[] = [];
    const book = new RecordJournal(journal, (detail) => faults.push(detail));
    const [a, b] = [made("a"), made("b")];
    book.append(a);
    book.append(b);
    book.acknowledge([a.id]);
    expect(book.pending()).toEqual([b]);
    expect(faults).toEqual([expect.stringContaining("EISDIR")]);
    book.close();
  });

  test("reach the file as soon as it can be written", () => {
    const { journal } = folder();
    const later = join(journal, "later", "engine.journal");
    const faults: (string | undefined)[] = [];
    const book = new RecordJournal(later, (detail) => faults.push(detail));
    const [a, b, c] = [made("a"), made("b"), made("c")];
    book.append(a);
    book.append(b);
    book.acknowledge([a.id]);
    expect(existsSync(later)).toBe(false);
    mkdirSync(join(journal, "later"), { recursive: true });
    book.append(c);
    expect(faults).toEqual([expect.any(String), undefined]);
    expect(readFileSync(later, "utf8").trim().split("\n")).toEqual([b, c].map((item) => JSON.stringify(item)));
    book.close();
  });

  test("for a reader that has stopped wait in the journal and fill no memory", async () => {
    const { socket, journal } = folder();
    let peer: Socket | undefined;
    const lines: string[] = [];
    const frozen = createServer((accepted) => {
      peer = accepted;
      accepted.write(`${JSON.stringify({ k: "hello", v: 1, name: "site", boot_id: "b" })}\n`);
      accepted.pause();
    });
    await new Promise<void>((listening) => frozen.listen(socket, listening));
    open.push(frozen);
    const { link, connected } = client(socket, journal);
    await connected();
    for (let i = 0; i < 25_000; i++) link.record(made(String(i)));
    expect(link.waiting).toBe(20_000);
    let rest = "";
    const last = new Promise<void>((got) => {
      peer?.on("data", (bytes: Buffer) => {
        const parts = (rest + bytes.toString("utf8")).split("\n");
        rest = parts.pop() ?? "";
        lines.push(...parts.filter((line) => line.startsWith('{"k":"record"')));
        if (lines.at(-1)?.includes('"config_hash":"24999"')) got();
      });
    });
    peer?.resume();
    await last;
    // What the journal had to give up meanwhile was not waiting in the socket either, save for its own buffer.
    expect(lines.length).toBeLessThan(21_000);
    peer?.destroy();
  });

  test("beyond the limit the oldest that is no emergency goes, and is counted", () => {
    const { journal } = folder();
    const book = new RecordJournal(journal);
    const emergency = { ...made("x"), type: "emergency.started" } as unknown as HoldfastEvent;
    book.append(emergency);
    for (let i = 0; i < 20_000; i++) book.append(made(String(i)));
    expect(book.dropped).toBe(1);
    expect(book.pending()[0]?.id).toBe(emergency.id);
    expect(book.pending()[1]?.data).toEqual({ config_hash: "1" });
    book.close();
  });
});

describe("questions", () => {
  test("are answered, in either direction", async () => {
    const { socket, journal } = folder();
    const serving = await server(socket, {
      ask: async (_type, question) => ({ drill: JSON.stringify(question), ends_wall: 1 }) as never,
    });
    const { link, connected } = client(socket, journal, {
      ask: async () => ({ drill: "from engine", ends_wall: 2 }) as never,
    });
    await connected();
    expect(await link.ask("drill.start", { by: "me", duration_ms: 5 })).toEqual({
      drill: '{"by":"me","duration_ms":5}',
      ends_wall: 1,
    });
    expect(await serving.ask("engine", "drill.start", { by: "me", duration_ms: 5 })).toMatchObject({ ends_wall: 2 });
  });

  test("that are refused carry the code", async () => {
    const { socket, journal } = folder();
    await server(socket, {
      ask: async () => {
        throw new HoldfastError("operation.refused", "A 911 call is up.");
      },
    });
    const { link, connected } = client(socket, journal);
    await connected();
    await expect(link.ask("drill.stop", { by: "me" })).rejects.toMatchObject({
      code: "operation.refused",
      detail: "A 911 call is up.",
    });
  });

  test("to nobody fail at once", async () => {
    const { socket, journal } = folder();
    await expect(client(socket, journal).link.ask("drill.stop", { by: "me" })).rejects.toThrow("link.closed");
  });
});

describe("a hostile or other-versioned peer", () => {
  test.each([
    ["not JSON", "hello\n"],
    ["another version", '{"k":"hello","v":999,"name":"engine","boot_id":"b"}\n'],
    ["a line that is null", "null\n"],
    ["a list", "[]\n"],
    ["a hello without a name", '{"k":"hello","v":1}\n'],
    ["a record that is none", '{"k":"hello","v":1,"name":"engine","boot_id":"b"}\n{"k":"record","event":null}\n'],
    ["an empty acknowledgement", '{"k":"hello","v":1,"name":"engine","boot_id":"b"}\n{"k":"ack"}\n'],
    ["no hello first", '{"k":"telemetry","type":"engine.status","data":{}}\n'],
  ])("%s is disconnected", async (_name, line) => {
    const { socket } = folder();
    await server(socket, {});
    await new Promise<void>((closed) => {
      const raw = connect(socket, () => raw.write(line));
      raw.resume();
      raw.on("close", () => closed());
    });
  });
});
