import type { Alarm, Severity } from "../../../agent/base/alarms.ts";
import type { StatusDocument } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import { type Known, known, sinceText, type Tone, type UnknownSince } from "./text.ts";

const SEVERITIES: readonly Severity[] = ["critical", "major", "minor", "warning"];

export interface AlarmRow {
  readonly key: string;
  readonly tone: Tone;
  readonly severity: string;
  readonly meaning: string;
  readonly subject: string;
  /** What happened here, as the box says it. */
  readonly detail: string;
  readonly action: string;
  readonly since: string;
}

export interface AlarmsView {
  /** Worst first, then newest first. */
  readonly rows: Known<readonly AlarmRow[]>;
  /** Processes that are silent, and their alarms with them. */
  readonly silent: readonly string[];
  readonly none: string;
}

export function alarmsView(status: StatusDocument | UnknownSince, at: At): AlarmsView {
  const { t } = at.words;
  const silent = "processes" in status ? silentProcesses(status, at) : [];
  const rank = ({ severity }: Alarm) => SEVERITIES.indexOf(severity);
  return {
    rows: known(status, at, ({ alarms }) =>
      [...alarms].sort((a, b) => rank(a) - rank(b) || b.since_wall - a.since_wall).map((alarm) => alarmRow(alarm, at)),
    ),
    silent,
    none: t(silent.length > 0 ? "alarms.none_known" : "alarms.none"),
  };
}

/** Only those that raise alarms and were expected to speak: an unexpected silence is itself a `process.down` alarm. */
function silentProcesses({ processes, alarms }: StatusDocument, { words, now_wall }: At): string[] {
  return (["engine", "cellular"] as const)
    .filter((name) => !processes[name].fresh)
    .filter((name) => name === "engine" || alarms.some((each) => each.code === "process.down" && each.subject === name))
    .map((name) => {
      const time = words.time(processes[name].unknown_since_wall ?? now_wall, now_wall);
      return words.t("alarms.silent", { process: words.named("process.", name), time });
    });
}

function alarmRow(alarm: Alarm, at: At): AlarmRow {
  const text = at.words.alarm(alarm.code);
  return {
    key: `${alarm.code} ${alarm.subject}`,
    tone: alarm.severity === "critical" ? "bad" : "warn",
    severity: at.words.named("severity.", alarm.severity),
    meaning: text?.meaning ?? alarm.code,
    subject: alarm.subject,
    detail: alarm.detail === text?.meaning ? "" : alarm.detail,
    action: text?.action ?? "",
    since: sinceText(alarm.since_wall, at),
  };
}
