import type { StatusDocument } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import { party, readable } from "./parties.ts";

/** A running 911 call, as the banner tells it to whoever must meet the responders. */
export interface Emergency911 {
  readonly key: string;
  readonly headline: string;
  readonly from: string;
  /** The address that was sent, in dispatch lines; empty when none is known. */
  readonly place: readonly string[];
  readonly callback: string;
  readonly started: string;
  readonly lasts: string;
  readonly by: string;
  /** Set when the box is silent: the call was running then, and that is all that is known. */
  readonly last_known: string | undefined;
}

/** Unlike everything else, a 911 call stays in sight when the box falls silent, marked as what was last known. */
export function emergencyCalls(
  status: StatusDocument | undefined,
  silent_since: number | undefined,
  { words, now_wall }: At,
): Emergency911[] {
  const { t } = words;
  const { calls = [], phones = [] } = status?.engine ?? {};
  return calls
    .filter(({ kind }) => kind === "emergency")
    .map((call) => ({
      key: call.call_id,
      headline: words.named("call911.", call.state),
      from: party(call.caller, phones, words),
      place: call.location_lines ?? [],
      callback: callbackText(call.callback_number) ?? t("call911.callback_hidden"),
      started: words.time(call.since_wall, now_wall),
      lasts: t("call911.lasts", { duration: words.duration(now_wall - call.since_wall) }),
      by: [call.trunk, call.path].filter((part) => part !== undefined).join(" / "),
      last_known:
        silent_since === undefined ? undefined : t("call911.last_known", { time: words.time(silent_since, now_wall) }),
    }));
}

/** The API puts a word in place of a number that this reader may not see. */
function callbackText(number: string | undefined): string | undefined {
  return number !== undefined && /[0-9]/.test(number) ? readable(number) : undefined;
}
