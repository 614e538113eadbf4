import { signal } from "@preact/signals";
import type { HoldfastEvent } from "../../../agent/base/events.ts";
import type { StatusDocument } from "../../../agent/base/status.ts";
import { readBeat, readEvent, readEvents, readStatus } from "./read.ts";
import { isSilent, type Moment } from "./silence.ts";

const POLL_MS = 5000;
const ANSWER_WITHIN_MS = 4500;
const RECONNECT_MS = 5000;
const EVENTS_KEPT = 40;

export const status = signal<StatusDocument | undefined>(undefined);
/** Newest first; undefined until the list was read once. */
export const events = signal<readonly HoldfastEvent[] | undefined>(undefined);
export const line = signal<"live" | "polling">("polling");
export const tooNew = signal(false);
/** The box's clock minus the reader's, ms. */
export const clockOffset = signal(0);
export const now = signal<Moment>(moment());
/** The last word of the box; before it, the opening of the page. */
export const heard = signal<Moment>(now.value);

function moment(): Moment {
  return { steady_ms: performance.now(), wall_ms: Date.now() };
}

/**
 * Adapter: the line to the box. Server-sent events while they flow; whenever they do not, questions every 5 s as well,
 * so that a proxy or an old router that swallows streams does not make the page blind.
 */
export function listen(): void {
  let source: EventSource | undefined;
  let polls: ReturnType<typeof setInterval> | undefined;
  let reopen: ReturnType<typeof setTimeout> | undefined;
  let streamed = moment();
  let asking = false;
  let newestSeq = 0;
  let askedFor = 0;

  const word = (now_wall: number) => {
    const at = moment();
    now.value = at;
    heard.value = at;
    clockOffset.value = now_wall - at.wall_ms;
  };
  const takeStatus = (text: string) => {
    const reading = readStatus(text);
    if ("status" in reading) {
      status.value = reading.status;
      tooNew.value = false;
      word(reading.status.now_wall);
    } else if (reading.fault === "too_new") tooNew.value = true;
    return "status" in reading;
  };
  const keep = (list: readonly HoldfastEvent[]) => {
    const sorted = [...list].sort((a, b) => b.seq - a.seq);
    events.value = sorted.slice(0, EVENTS_KEPT);
    newestSeq = sorted[0]?.seq ?? 0;
  };
  const ask = (path: string) =>
    fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }).then((answer) =>
      answer.ok ? answer.text() : undefined,
    );
  /** The list replaces what was gathered before: the box knows better, also after its database was rebuilt. */
  const askEvents = async () => {
    const text = await ask(`/api/v1/events/recent?limit=${EVENTS_KEPT}`).catch(() => undefined);
    const list = text === undefined ? undefined : readEvents(text);
    if (list !== undefined) keep(list);
  };
  const poll = async () => {
    if (asking) return;
    asking = true;
    try {
      const text = await ask("/api/v1/status");
      if (text !== undefined && takeStatus(text)) await askEvents();
    } catch {
      // No answer is told by the silence itself.
    } finally {
      asking = false;
    }
  };
  const startPolling = () => {
    line.value = "polling";
    if (polls !== undefined) return;
    void poll();
    polls = setInterval(() => void poll(), POLL_MS);
  };
  const flows = () => {
    streamed = moment();
    line.value = "live";
    clearInterval(polls);
    polls = undefined;
  };
  const open = () => {
    reopen = undefined;
    source?.close();
    streamed = moment();
    const opened = new EventSource("/api/v1/events");
    source = opened;
    opened.addEventListener("open", () => void askEvents());
    opened.addEventListener("status", ({ data }) => {
      if (takeStatus(data)) flows();
    });
    opened.addEventListener("beat", ({ data }) => {
      const beat = readBeat(data);
      if (beat === undefined) return;
      flows();
      word(beat.now_wall);
      if (beat.seq !== newestSeq && beat.seq !== askedFor) {
        askedFor = beat.seq;
        void askEvents();
      }
    });
    opened.addEventListener("event", ({ data }) => {
      const event = readEvent(data);
      if (event === undefined || events.value?.some(({ id }) => id === event.id)) return;
      keep([event, ...(events.value ?? [])]);
    });
    opened.addEventListener("error", () => {
      startPolling();
      // A browser tries again by itself after a lost connection, but not after a refusal.
      if (opened.readyState === EventSource.CLOSED) later();
    });
  };
  const later = () => {
    reopen ??= setTimeout(open, RECONNECT_MS);
  };

  setInterval(() => {
    now.value = moment();
    // A stream can be open and dead: a pulled cable tells nobody.
    if (isSilent(streamed, now.value) && reopen === undefined) {
      startPolling();
      open();
    }
  }, 1000);
  open();
}
