import type { ReadonlySignal } from "@preact/signals";
import { choose, words as currentWords, language } from "../language.ts";
import type { PageView, StateView } from "../view/page-view.ts";
import { LANGUAGES, type Words } from "../words/words.ts";
import { EmergencyBanner } from "./emergency-banner.tsx";
import { Icon } from "./icon.tsx";
import { ActiveCalls, Alarms, Box, Checks, Events, Paths, Phones } from "./lists.tsx";
import { PracticeDesk } from "./practice-desk.tsx";
import { StuckPhones } from "./stuck-phones.tsx";
import { AddressCard, Said, SignalCard, TileCard } from "./tiles.tsx";

const LANGUAGE_NAMES = { en: "English", es: "Español" } as const;

interface PageProps {
  readonly shown: ReadonlySignal<PageView>;
  readonly tooNew: ReadonlySignal<boolean>;
}

export function Page({ shown, tooNew }: PageProps) {
  const view = shown.value;
  const words = currentWords.value;
  const { t } = words;
  return (
    <div class={view.practice ? "page practice" : "page"}>
      <a class="skip" href="#state">
        {t("page.skip")}
      </a>
      {view.practice ? <PracticeStrip words={words} /> : null}
      {view.emergencies.map((call) => (
        <EmergencyBanner key={call.key} call={call} words={words} />
      ))}
      <header>
        <div>
          <h1>{view.site}</h1>
          <p class="faint">{[view.org, view.main_number].filter((part) => part !== "").join(" · ")}</p>
        </div>
        <Languages words={words} />
      </header>
      <main id="state" tabIndex={-1}>
        {view.stale === undefined ? null : (
          <div class="stale" role="alert">
            <p class="with-icon">
              <Icon tone="unknown" />
              <strong>{t("stale.title")}</strong>
            </p>
            <p>{view.stale.headline}</p>
            <p>{view.stale.meaning}</p>
          </div>
        )}
        {tooNew.value ? (
          <div class="stale" role="alert">
            <p>{t("page.too_new")}</p>
          </div>
        ) : null}
        {view.notices.map((notice) => (
          <p class="notice with-icon" key={notice.text}>
            <Icon tone="quiet" />
            <span>
              <Said {...notice} />
            </span>
          </p>
        ))}
        <p class="for-ears" role="status">
          {view.spoken}
        </p>
        {view.state === undefined ? (
          <p>{t("page.loading")}</p>
        ) : (
          <State state={view.state} desk={view.desk} words={words} />
        )}
        {view.state === undefined ? null : <Events events={view.events} missing={view.events_missing} words={words} />}
      </main>
      <footer>
        <p>{view.feed}</p>
        <p>{view.box}</p>
      </footer>
    </div>
  );
}

function State({ state, desk, words }: { state: StateView; desk: PageView["desk"]; words: Words }) {
  return (
    <>
      <div class="tiles three">
        <TileCard id="calls" tile={state.calls} big />
        <TileCard id="emergency" tile={state.emergency} big>
          <Checks checks={state.checks} words={words} />
        </TileCard>
        <AddressCard id="address" tile={state.address} />
      </div>
      {desk === undefined ? null : <PracticeDesk cable={desk.cable} words={words} />}
      <div class="tiles four">
        <TileCard id="phones" tile={state.phones} />
        <SignalCard id="signal" tile={state.signal} />
        <TileCard id="power" tile={state.power} />
        <TileCard id="noc" tile={state.noc} />
      </div>
      <div class="columns">
        <Alarms alarms={state.alarms} words={words} />
        <StuckPhones phones={state.stuck} words={words} />
        <ActiveCalls calls={state.active} words={words} />
        <Phones phones={state.phone_list} words={words} />
        <Box box={state.box} words={words} />
        <Paths paths={state.paths} trunks={state.trunks} words={words} />
      </div>
    </>
  );
}

function PracticeStrip({ words: { t } }: { words: Words }) {
  return (
    <>
      <aside class="practice-strip" aria-label={t("page.practice")}>
        <strong>{t("page.practice")}</strong> <span>{t("page.practice_said")}</span>
      </aside>
      <div class="practice-mark" aria-hidden="true">
        {t("page.practice")}
      </div>
    </>
  );
}

function Languages({ words: { t } }: { words: Words }) {
  return (
    <nav class="languages" aria-label={t("page.language")}>
      {LANGUAGES.map((each) => (
        <button
          type="button"
          key={each}
          lang={each}
          aria-pressed={language.value === each}
          onClick={() => choose(each)}
        >
          {LANGUAGE_NAMES[each]}
        </button>
      ))}
    </nav>
  );
}
