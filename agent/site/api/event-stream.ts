import type { FastifyReply } from "fastify";
import { type Clock, every } from "../../base/clock.ts";
import type { HoldfastEvent } from "../../base/events.ts";
import type { StatusDocument } from "../../base/status.ts";

const BEAT_MS = 5000;
const REPLAY_LIMIT = 1000;
/** Events waiting for one slow reader; beyond it the stream ends and the reader comes back with its Last-Event-ID. */
const BACKLOG_LIMIT = 2000;

export interface StreamSource {
  readonly clock: Clock;
  status(): StatusDocument;
  onStatus(listener: (document: StatusDocument) => void): () => void;
  onEvent(listener: (event: HoldfastEvent) => void): () => void;
  eventsAfter(seq: number, limit: number): readonly HoldfastEvent[];
  readonly lastSeq: number;
}

/** What this reader may see of documents and events. */
export interface Shown {
  status(document: StatusDocument): StatusDocument;
  event(event: HoldfastEvent): HoldfastEvent;
}

interface Message {
  readonly event: string;
  readonly id?: string;
  readonly data: unknown;
}

/**
 * One reader's live stream. `status` at once and on every change (only the newest, if the reader is slow), `beat`
 * every 5 s, so that a page can tell silence from peace, and `event` with the event's number as its id, after those
 * that a returning reader missed.
 */
export async function serveStream(reply: FastifyReply, source: StreamSource, shown: Shown): Promise<void> {
  const { sse } = reply;
  const queue: Message[] = [];
  let status: StatusDocument | undefined;
  let pumping = false;
  let ended = false;
  let lastShown = "";

  const pump = async () => {
    if (pumping) return;
    pumping = true;
    try {
      while (!ended) {
        const message: Message | undefined =
          status !== undefined ? { event: "status", data: shown.status(status) } : queue.shift();
        if (message === undefined) break;
        status = message.event === "status" ? undefined : status;
        await sse.send({ ...message });
      }
    } catch {
      end();
    } finally {
      pumping = false;
    }
  };
  const offer = (message: Message) => {
    if (queue.length >= BACKLOG_LIMIT) end();
    else queue.push(message);
    void pump();
  };
  const showStatus = (document: StatusDocument) => {
    lastShown = comparable(document);
    status = document;
    void pump();
  };
  const offers = [source.onStatus(showStatus), source.onEvent((event) => offer(eventMessage(shown.event(event))))];
  const beats = every(source.clock, BEAT_MS, () => {
    const document = source.status();
    if (comparable(document) !== lastShown) showStatus(document);
    offer({ event: "beat", data: { now_wall: document.now_wall, seq: source.lastSeq } });
  });
  const end = () => {
    if (ended) return;
    ended = true;
    beats.cancel();
    for (const off of offers) off();
    sse.close();
  };
  sse.onClose(end);
  sse.keepAlive();

  showStatus(source.status());
  const last = Number(sse.lastEventId ?? Number.NaN);
  if (Number.isSafeInteger(last) && last >= 0) {
    for (const event of source.eventsAfter(Math.max(last, source.lastSeq - REPLAY_LIMIT), REPLAY_LIMIT)) {
      offer(eventMessage(shown.event(event)));
    }
  }
}

function eventMessage(event: HoldfastEvent): Message {
  return { event: "event", id: String(event.seq), data: event };
}

function comparable(document: StatusDocument): string {
  return JSON.stringify({ ...document, now_wall: 0 });
}
