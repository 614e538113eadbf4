import type { ComponentChildren } from "preact";
import type { AlarmsView } from "../view/alarms.ts";
import type { CallRow } from "../view/calls.ts";
import type { EventRow } from "../view/events.ts";
import type { BoxView, HealthRow } from "../view/paths.ts";
import type { PhoneRow } from "../view/phones.ts";
import type { CheckRow } from "../view/readiness.ts";
import type { Known } from "../view/text.ts";
import type { Words } from "../words/words.ts";
import { Icon } from "./icon.tsx";

interface CardProps {
  readonly id: string;
  readonly title: string;
  readonly children: ComponentChildren;
}

export function Card({ id, title, children }: CardProps) {
  return (
    <section class="card" aria-labelledby={`${id}-title`} id={id}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
    </section>
  );
}

function UnknownLine({ since }: { since: string }) {
  return (
    <p class="unknown-line">
      <Icon tone="unknown" /> {since}
    </p>
  );
}

export function Checks({ checks, words: { t, number } }: { checks: Known<readonly CheckRow[]>; words: Words }) {
  if (!checks.known || checks.value.length === 0) return null;
  const passed = checks.value.filter(({ tone }) => tone === "good").length;
  return (
    <details>
      <summary>{t("emergency.checks", { passed: number(passed), all: number(checks.value.length) })}</summary>
      <ul class="rows">
        {checks.value.map((check) => (
          <li key={check.key}>
            <Icon tone={check.tone} />
            <div>
              <strong>
                {check.what}: {check.verdict}
              </strong>
              <p lang="en">{check.detail}</p>
            </div>
          </li>
        ))}
      </ul>
    </details>
  );
}

export function Alarms({ alarms, words: { t } }: { alarms: AlarmsView; words: Words }) {
  const { rows } = alarms;
  return (
    <Card id="alarms" title={t("alarms.title")}>
      {rows.known ? null : <UnknownLine since={rows.since} />}
      {alarms.silent.map((text) => (
        <UnknownLine key={text} since={text} />
      ))}
      {rows.known && rows.value.length === 0 ? <p>{alarms.none}</p> : null}
      {rows.known && rows.value.length > 0 ? (
        <ul class="alarms">
          {rows.value.map((alarm) => (
            <li key={alarm.key} class={`tone-${alarm.tone}`}>
              <p class="alarm-head">
                <Icon tone={alarm.tone} />
                <strong>
                  {alarm.severity}: {alarm.meaning}
                </strong>
              </p>
              {alarm.detail === "" ? null : <p lang="en">{alarm.detail}</p>}
              {alarm.action === "" ? null : (
                <p>
                  <strong>{t("alarms.action")}</strong> {alarm.action}
                </p>
              )}
              <p class="faint">{[alarm.subject, alarm.since].filter((part) => part !== "").join(", ")}</p>
            </li>
          ))}
        </ul>
      ) : null}
    </Card>
  );
}

export function ActiveCalls({ calls, words: { t } }: { calls: Known<readonly CallRow[]>; words: Words }) {
  return (
    <Card id="active" title={t("active.title")}>
      {calls.known ? null : <UnknownLine since={calls.since} />}
      {calls.known && calls.value.length === 0 ? <p>{t("active.none")}</p> : null}
      {calls.known && calls.value.length > 0 ? (
        <ul class="rows">
          {calls.value.map((call) => (
            <li key={call.key}>
              <span class={call.emergency ? "tag emergency" : "tag"}>{call.kind}</span>
              <div>
                <strong>{call.parties}</strong>
                <p class="faint">{[call.state, call.by, call.since].filter((part) => part !== "").join(", ")}</p>
              </div>
            </li>
          ))}
        </ul>
      ) : null}
    </Card>
  );
}

export function Phones({ phones, words: { t } }: { phones: Known<readonly PhoneRow[]>; words: Words }) {
  return (
    <Card id="phones-list" title={t("phones.list")}>
      {phones.known ? null : <UnknownLine since={phones.since} />}
      {phones.known && phones.value.length === 0 ? <p>{t("phones.none")}</p> : null}
      {phones.known && phones.value.length > 0 ? (
        <table>
          <thead>
            <tr>
              <th scope="col">{t("phones.extension")}</th>
              <th scope="col">{t("phones.name")}</th>
              <th scope="col">{t("phones.state")}</th>
              <th scope="col">{t("phones.place")}</th>
            </tr>
          </thead>
          <tbody>
            {phones.value.map((phone) => (
              <tr key={phone.key}>
                <td data-label={t("phones.extension")}>{phone.number}</td>
                <td data-label={t("phones.name")}>{phone.name}</td>
                <td data-label={t("phones.state")}>
                  <div>
                    <span class="with-icon">
                      <Icon tone={phone.tone} /> {phone.state}
                    </span>
                    {phone.devices.map((device) => (
                      <p class="faint" key={device.key}>
                        {device.text}
                        {device.detail === "" ? null : <span lang="en">: {device.detail}</span>}
                      </p>
                    ))}
                  </div>
                </td>
                <td data-label={t("phones.place")}>{phone.place}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
    </Card>
  );
}

interface HealthListProps {
  readonly title: string;
  readonly rows: Known<readonly HealthRow[]>;
  readonly words: Words;
}

function HealthList({ title, rows, words: { t } }: HealthListProps) {
  return (
    <>
      <h3>{title}</h3>
      {rows.known ? null : <UnknownLine since={rows.since} />}
      {rows.known && rows.value.length === 0 ? <p>{t("paths.none")}</p> : null}
      {rows.known && rows.value.length > 0 ? (
        <ul class="health">
          {rows.value.map((row) => (
            <li key={row.key} class={`tone-${row.tone}`}>
              <p class="health-head">
                <Icon tone={row.tone} />
                <span>
                  <strong>{row.state}</strong> {row.kind} <span class="faint">{row.name}</span>
                </span>
              </p>
              <p class="faint">{[row.since, row.facts].filter((part) => part !== "").join(", ")}</p>
              <details>
                <summary>
                  {t("paths.evidence")}
                  <span class="for-ears"> {row.name}</span>
                </summary>
                {row.evidence.length === 0 ? <p>{t("paths.no_evidence")}</p> : null}
                <ul class="rows">
                  {row.evidence.map((each) => (
                    <li key={each.key}>
                      <Icon tone={each.tone} />
                      <div>
                        {each.source}: {each.verdict} <span class="faint">{each.time}</span>
                        <p lang="en">{each.detail}</p>
                      </div>
                    </li>
                  ))}
                </ul>
              </details>
            </li>
          ))}
        </ul>
      ) : null}
    </>
  );
}

interface PathsProps {
  readonly paths: Known<readonly HealthRow[]>;
  readonly trunks: Known<readonly HealthRow[]>;
  readonly words: Words;
}

export function Paths({ paths, trunks, words }: PathsProps) {
  return (
    <Card id="paths" title={words.t("paths.title")}>
      <HealthList title={words.t("paths.paths")} rows={paths} words={words} />
      <HealthList title={words.t("paths.trunks")} rows={trunks} words={words} />
    </Card>
  );
}

export function Box({ box, words: { t } }: { box: BoxView; words: Words }) {
  return (
    <Card id="box" title={t("box.title")}>
      {box.processes.known ? (
        <ul class="rows">
          {box.processes.value.map((row) => (
            <li key={row.key}>
              <Icon tone={row.tone} />
              <div>
                {row.name}: {row.state}
              </div>
            </li>
          ))}
        </ul>
      ) : (
        <UnknownLine since={box.processes.since} />
      )}
      {box.host.known ? <p class="faint">{box.host.value}</p> : null}
    </Card>
  );
}

interface EventsProps {
  readonly events: readonly EventRow[] | undefined;
  readonly missing: string | undefined;
  readonly words: Words;
}

export function Events({ events, missing, words: { t } }: EventsProps) {
  return (
    <Card id="events" title={t("events.title")}>
      {missing === undefined ? null : <UnknownLine since={missing} />}
      {missing === undefined && events === undefined ? <p>{t("events.unread")}</p> : null}
      {missing === undefined && events?.length === 0 ? <p>{t("events.none")}</p> : null}
      {events !== undefined && events.length > 0 ? (
        <ol class="rows events">
          {events.map((event) => (
            <li key={event.key}>
              <Icon tone={event.tone} />
              <div>
                <span class="faint">{event.time}</span> {event.text}{" "}
                {event.practice ? <span class="tag">{t("event.practice")}</span> : null}
                {event.detail === "" ? null : (
                  <p class="faint" lang="en">
                    {event.detail}
                  </p>
                )}
              </div>
            </li>
          ))}
        </ol>
      ) : null}
    </Card>
  );
}
