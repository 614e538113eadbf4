import type { HoldfastEvent } from "../../../agent/base/events.ts";
import type { PhoneStatus } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import { extensionName, party } from "./parties.ts";
import { gpioText } from "./surroundings.ts";
import type { Tone } from "./text.ts";

/** One line of the list of what happened. */
export interface EventRow {
  readonly key: string;
  readonly time: string;
  readonly text: string;
  /** More, as the box says it. */
  readonly detail: string;
  readonly tone: Tone;
  readonly practice: boolean;
}

type Told = Pick<EventRow, "text"> & Partial<Pick<EventRow, "detail" | "tone">>;

export function eventRow(event: HoldfastEvent, phones: readonly PhoneStatus[], at: At): EventRow {
  const told = tell(event, phones, at);
  return {
    key: event.id,
    time: at.words.time(event.wall, at.now_wall),
    text: told.text,
    detail: told.detail ?? "",
    tone: told.tone ?? "quiet",
    practice: event.practice,
  };
}

function tell(event: HoldfastEvent, phones: readonly PhoneStatus[], at: At): Told {
  const { t, named } = at.words;
  const who = (number: string | undefined) => party(number, phones, at.words);
  const phone = (id: string | undefined) => extensionName(id, phones, at.words);
  switch (event.type) {
    case "box.started":
      return { text: t("event.box.started", { process: event.data.process }), detail: event.data.version };
    case "mode.changed": {
      const { from, to, reasons } = event.data;
      const text = t("event.mode.changed", { from: named("mode.", from), to: named("mode.", to) });
      return { text, detail: reasons.join("; "), tone: to === "normal" ? "good" : "warn" };
    }
    case "path.health":
    case "trunk.health": {
      const { from, to, evidence } = event.data;
      const health = { from: named("health.", from), to: named("health.", to) };
      const text =
        event.type === "path.health"
          ? t("event.path.health", { path: event.data.path, ...health })
          : t("event.trunk.health", { trunk: event.data.trunk, ...health });
      const bad = evidence.filter(({ verdict }) => verdict === "bad").map(({ detail }) => detail);
      const tone = to === "up" ? "good" : to === "down" ? "bad" : to === "unknown" ? "unknown" : "warn";
      return { text, detail: to === "up" ? "" : bad.join("; "), tone };
    }
    case "trunk.availability":
    case "device.availability":
    case "extension.availability":
    case "did.availability": {
      const { id, from, to, evidence } = event.data;
      const words = { from: named("availability.", from), to: named("availability.", to) };
      const who = event.type === "extension.availability" ? phone(id) : id;
      const bad = evidence.filter(({ verdict }) => verdict === "bad").map(({ detail }) => detail);
      const tone = to === "online" ? "good" : to === "unknown" ? "unknown" : "warn";
      return { text: t(`event.${event.type}`, { who, ...words }), detail: to === "online" ? "" : bad.join("; "), tone };
    }
    case "phone.stuck": {
      const { extension, aor, why, source, user_agent } = event.data;
      const text = t("event.phone.stuck", {
        who: extension === undefined ? aor : phone(extension),
        why: named("stuck.", why),
      });
      return { text, detail: [source, user_agent].filter((part) => part !== "").join(", "), tone: "warn" };
    }
    case "phone.home": {
      const { extension, aor, source } = event.data;
      const who = extension === undefined ? aor : phone(extension);
      return { text: t("event.phone.home", { who }), detail: source, tone: "good" };
    }
    case "phones.returned": {
      const { phones: all, home, slowest_ms } = event.data;
      const counts = { all: at.words.number(all), home: at.words.number(home) };
      const after = slowest_ms === undefined ? "" : at.words.duration(slowest_ms);
      const text = slowest_ms === undefined ? "event.phones.returned_none" : "event.phones.returned";
      return { text: t(text, { ...counts, after }), tone: home === all ? "good" : "warn" };
    }
    case "registration.added":
      return { text: t("event.registration.added", { who: phone(event.data.extension) }) };
    case "registration.removed": {
      const text = named("event.registration.removed.", event.data.reason);
      return { text: text.replace("{who}", () => phone(event.data.extension)) };
    }
    case "call.started":
    case "call.answered":
    case "call.moved":
    case "call.ended": {
      const parties = { caller: who(event.data.caller), callee: who(event.data.callee) };
      if (event.type === "call.moved") {
        const { path, took_ms } = event.data;
        return {
          text: t("event.call.moved", { ...parties, path: path ?? "", ms: at.words.number(took_ms) }),
          tone: "good",
        };
      }
      if (event.type !== "call.ended") return { text: t(`event.${event.type}`, parties) };
      const duration = at.words.duration(event.data.duration_ms);
      return { text: t("event.call.ended", { ...parties, duration }), detail: event.data.cause };
    }
    case "emergency.callback":
      return { text: t("event.emergency.callback", { who: phone(event.data.extension) }), tone: "warn" };
    case "emergency.started":
    case "emergency.attempt":
    case "emergency.answered":
    case "emergency.ended":
      return tellEmergency(event, phones, at);
    case "alarm.raised":
    case "alarm.cleared": {
      const { code, severity, detail } = event.data;
      const text = t(`event.${event.type}`, { meaning: at.words.alarm(code)?.meaning ?? code });
      if (event.type === "alarm.cleared") return { text, tone: "good" };
      return { text, detail, tone: severity === "critical" ? "bad" : "warn" };
    }
    case "power.changed": {
      const { source, detail } = event.data;
      const text = t("event.power.changed", { source: source === "unknown" ? t("unknown") : named("power.", source) });
      return { text, detail, tone: source === "mains" ? "good" : source === "battery" ? "warn" : "unknown" };
    }
    case "gpio.changed":
      return { text: gpioText(event.data.meaning, event.data.on, at) };
    case "modem.changed": {
      const { modem, state, operator } = event.data;
      const text = t("event.modem.changed", { modem, state: named("modem.", state) });
      return { text, detail: operator ?? "", tone: state === "registered" ? "good" : "warn" };
    }
    case "drill.started":
      return { text: t("event.drill.started", { by: event.data.by }), tone: "warn" };
    case "drill.ended":
      return { text: named("event.drill.ended.", event.data.reason) };
    case "config.applied":
      return { text: t("event.config.applied") };
    case "config.rejected":
      return { text: t("event.config.rejected"), detail: event.data.faults.join("; "), tone: "warn" };
    case "store.quarantined":
      return { text: t("event.store.quarantined"), detail: event.data.detail, tone: "warn" };
    default:
      return { text: t("event.other", { type: String((event as { type: unknown }).type) }) };
  }
}

type EmergencyEvent = Extract<
  HoldfastEvent,
  { type: "emergency.started" | "emergency.attempt" | "emergency.answered" | "emergency.ended" }
>;

/** By extension; a phone that nobody knows by what the PSAP saw of it, which is a number and not shown. */
function emergencyCaller(event: EmergencyEvent, phones: readonly PhoneStatus[], words: At["words"]): string {
  if (event.type === "emergency.attempt") return "";
  const { extension, caller_number } = event.data;
  return extension === undefined ? party(caller_number, phones, words) : extensionName(extension, phones, words);
}

function tellEmergency(event: EmergencyEvent, phones: readonly PhoneStatus[], { words }: At): Told {
  const who = emergencyCaller(event, phones, words);
  const { t, named } = words;
  switch (event.type) {
    case "emergency.started": {
      const place = event.data.location_lines.join(", ");
      const text =
        place === "" ? t("event.emergency.started", { who }) : t("event.emergency.started_at", { who, place });
      return { text, tone: "warn" };
    }
    case "emergency.attempt": {
      const { attempt, trunk, path, outcome, sip_status } = event.data;
      const text = t("event.emergency.attempt", { attempt, trunk, path, outcome: named("outcome.", outcome) });
      return { text, detail: sip_status === undefined ? "" : `SIP ${sip_status}` };
    }
    case "emergency.answered": {
      const { trunk, path, after_ms } = event.data;
      return { text: t("event.emergency.answered", { who, trunk, path, ms: words.number(after_ms) }), tone: "good" };
    }
    case "emergency.ended": {
      const duration = words.duration(event.data.duration_ms);
      return { text: t("event.emergency.ended", { who, duration }), detail: event.data.cause };
    }
  }
}
