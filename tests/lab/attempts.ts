/** Why a 911 call went to LTE, by the events with which the box itself told the NOC of it. */
import type { EventData, Evidence } from "../../agent/base/events.ts";
import type { Lab } from "./lab.ts";
import { expect } from "./scenario.ts";
import { eventsAtNoc, type NocEvent, nocEvent } from "./story.ts";

/**
 * `known`: the WAN was down already, and its routes were passed over. `send_error`: the kernel would not send. `verdict`:
 * the path's verdict turned while the attempt was unanswered. `window`: its time for a first response was over.
 */
export type Reason = "known" | "send_error" | "verdict" | "window";

/** A verdict is recorded in the same go of the engine as what it sets off, right after that. */
const ONE_GO_MS = 20;

type Attempt = EventData["emergency.attempt"];

const attemptOf = (event: NocEvent): Attempt | undefined =>
  event.type === "emergency.attempt" ? (event.data as unknown as Attempt) : undefined;

const isWorse = (event: NocEvent): boolean =>
  event.type === "path.health" && event.subject === "wan" && ["suspect", "down"].includes(String(event.data.to));

/**
 * For the first 911 call that was tried by LTE since `from`, after its end. Fails when LTE was tried in any other way than beside or instead of
 * an attempt on the WAN that had no chance: this is what a box that waits for a transaction to time out does not do.
 */
export async function whyByLte(lab: Lab, from: number): Promise<Reason> {
  const { event: lte } = await nocEvent(lab, "emergency.attempt", ({ data }) => data.path === "lte", 15_000, from);
  const isOfCall = ({ call_id }: NocEvent) => call_id === lte.call_id;
  // Its end is among the last that the NOC gets of it.
  await nocEvent(lab, "emergency.ended", isOfCall, 15_000, from);
  const events = [...eventsAtNoc(lab, from)].sort((a, b) => a.seq - b.seq);
  const first = events.findIndex((event) => isOfCall(event) && attemptOf(event)?.path === "lte");
  const last = events.slice(0, first).findLast((event) => isOfCall(event) && attemptOf(event)?.path === "wan");
  const attempt = last === undefined ? undefined : attemptOf(last);
  if (last === undefined || attempt === undefined) {
    const verdict = events.slice(0, first).findLast((event) => event.type === "path.health" && event.subject === "wan");
    expect(verdict?.data.to === "down", "LTE was tried first although the WAN was not known to be down");
    return "known";
  }
  if (attempt.outcome === "send_error") return "send_error";
  expect(
    attempt.hedged && attempt.outcome === "no_response",
    `LTE was tried after the attempt on the WAN had ended: ${attempt.outcome}, hedged ${attempt.hedged}`,
  );
  const together = events.some(
    (event) => event.seq > last.seq && isWorse(event) && event.mono_ms - last.mono_ms <= ONE_GO_MS,
  );
  return together ? "verdict" : "window";
}

/** What spoke against a path when it was declared down, since `from`. */
export async function pathDownBecause(lab: Lab, path: string, from: number): Promise<readonly string[]> {
  const down = ({ subject, data }: NocEvent) => subject === path && data.to === "down";
  const { event } = await nocEvent(lab, "path.health", down, 10_000, from);
  const evidence = event.data.evidence as readonly Evidence[];
  return evidence.filter(({ verdict }) => verdict === "bad").map(({ source }) => source);
}
