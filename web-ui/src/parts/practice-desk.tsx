import { useSignal } from "@preact/signals";
import { moveCable, type Outcome, placeCall } from "../live/practice.ts";
import type { Words } from "../words/words.ts";
import { Icon } from "./icon.tsx";

const CALLER = "101";
const CALLED = "911";

interface DeskProps {
  readonly cable: "plugged" | "pulled" | undefined;
  readonly words: Words;
}

/** The rehearsal: a cable that can be pulled, and a phone that can be made to call the practice PSAP. */
export function PracticeDesk({ cable, words: { t } }: DeskProps) {
  const moving = useSignal(false);
  const calling = useSignal(false);
  const moved = useSignal<Outcome | undefined>(undefined);
  const called = useSignal<Outcome | undefined>(undefined);

  const move = async () => {
    if (moving.value || cable === undefined) return;
    moving.value = true;
    moved.value = await moveCable(cable === "plugged" ? "pulled" : "plugged");
    moving.value = false;
  };
  const call = async () => {
    if (calling.value) return;
    calling.value = true;
    called.value = undefined;
    called.value = await placeCall(CALLER, CALLED);
    calling.value = false;
  };
  const cableWord = t(cable === undefined ? "desk.cable_unknown" : `desk.cable_${cable}`);

  return (
    <section class="card desk" aria-labelledby="desk-title" id="desk">
      <h2 id="desk-title">
        {t("page.practice")}: {t("desk.title")}
      </h2>
      <p>{t("desk.said")}</p>
      <p class="with-icon cable">
        <Icon tone={cable === "plugged" ? "good" : cable === "pulled" ? "bad" : "unknown"} />
        <span>
          {t("desk.cable")}: <strong>{cableWord}</strong>
        </span>
      </p>
      <div class="buttons">
        <button type="button" onClick={move} aria-disabled={moving.value || cable === undefined}>
          {moving.value ? t("desk.working") : t(cable === "pulled" ? "desk.plug" : "desk.pull")}
        </button>
        <button type="button" onClick={call} aria-disabled={calling.value}>
          {calling.value ? t("desk.calling") : t("desk.call")}
        </button>
      </div>
      <div role="status">
        <Result outcome={moved.value?.kind === "done" ? undefined : moved.value} t={t} />
        <Result outcome={called.value} t={t} />
      </div>
    </section>
  );
}

function Result({ outcome, t }: { outcome: Outcome | undefined; t: Words["t"] }) {
  if (outcome === undefined) return null;
  if (outcome.kind === "unreachable") return <p>{t("desk.unreachable")}</p>;
  if (outcome.kind === "refused") return <p>{t("desk.refused", { detail: outcome.detail })}</p>;
  return (
    <>
      <p class="with-icon">
        <Icon tone={outcome.ok ? "good" : "bad"} />
        <strong>{t(outcome.ok ? "desk.call_ok" : "desk.call_failed")}</strong>
      </p>
      <ul class="transcript" lang="en">
        {outcome.lines.map((line, index) => (
          <li key={index}>{line}</li>
        ))}
      </ul>
    </>
  );
}
