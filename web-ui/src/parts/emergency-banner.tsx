import type { Emergency911 } from "../view/emergency-calls.ts";
import type { Words } from "../words/words.ts";

/**
 * Conspicuous while 911 is called. The alert itself holds only what does not tick, so that a screen reader says it once
 * and again only when something changes.
 */
export function EmergencyBanner({ call, words: { t } }: { call: Emergency911; words: Words }) {
  return (
    <section class="banner911" aria-labelledby={`call-${call.key}`}>
      <div role="alert">
        <h2 id={`call-${call.key}`}>
          <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
            <path d="M12 2a6 6 0 0 0-6 6v8h12V8a6 6 0 0 0-6-6ZM4 18h16v4H4Z" />
          </svg>
          {call.headline}
        </h2>
        {call.last_known === undefined ? null : <p class="last-known">{call.last_known}</p>}
        <dl>
          <div>
            <dt>{t("call911.from")}</dt>
            <dd class="strong">{call.from}</dd>
          </div>
          <div>
            <dt>{t("call911.place")}</dt>
            {call.place.length === 0 ? (
              <dd class="strong">{t("call911.place_none")}</dd>
            ) : (
              <dd class="strong" lang="en">
                {call.place.map((line) => (
                  <span class="address-line" key={line}>
                    {line}
                  </span>
                ))}
              </dd>
            )}
          </div>
          <div>
            <dt>{t("call911.callback")}</dt>
            <dd class="strong">{call.callback}</dd>
          </div>
        </dl>
      </div>
      <dl>
        <div>
          <dt>{t("call911.started")}</dt>
          <dd>
            {call.started} ({call.lasts})
          </dd>
        </div>
        {call.by === "" ? null : (
          <div>
            <dt>{t("call911.by")}</dt>
            <dd>{call.by}</dd>
          </div>
        )}
      </dl>
    </section>
  );
}
