/**
 * Every alarm the box can raise. An alarm is a lasting condition: raised once, cleared once, both as events. A test
 * holds docs/alarms.md equal to this table.
 */
export type Severity = "critical" | "major" | "minor" | "warning";

export const ALARMS = {
  "emergency.not_ready": {
    severity: "critical",
    meaning: "No path could carry a 911 call right now.",
    action: "Restore the WAN or the cellular path. Until then use a mobile phone for 911.",
  },
  "emergency.one_path": {
    severity: "major",
    meaning: "Only one path could carry a 911 call.",
    action: "Find out why the other path is down: its evidence is on the status page.",
  },
  "emergency.location_missing": {
    severity: "major",
    meaning: "A phone has no location of its own, so 911 would get the site's address.",
    action: "Give the phone a location in the site file.",
  },
  "engine.defaults": {
    severity: "critical",
    meaning:
      "The call engine has no valid configuration and runs on built-in defaults: 911 is taken, little else works.",
    action: "Correct the site file; `holdfast check` names each error.",
  },
  "engine.snapshot_broken": {
    severity: "major",
    meaning: "The engine's last snapshot was missing or damaged at start.",
    action: "It is rebuilt by itself. If it repeats, check the storage.",
  },
  "config.rejected": {
    severity: "major",
    meaning: "The site file has errors; the box runs on with its last good one.",
    action: "Correct the lines that the alarm names.",
  },
  "process.down": {
    severity: "critical",
    meaning: "One of Holdfast's processes is not running.",
    action: "It is restarted by itself. If it repeats, send its log to support.",
  },
  "path.down": {
    severity: "major",
    meaning: "A path out of the building is down.",
    action: "Its evidence on the status page says what failed: cable, router, or provider.",
  },
  "path.degraded": {
    severity: "minor",
    meaning: "A path loses or delays packets.",
    action: "Expect poor sound. Ask the provider if it lasts.",
  },
  "trunk.down": {
    severity: "major",
    meaning: "A trunk or the cloud PBX does not answer over a path that works.",
    action: "Ask the provider; check address and credentials.",
  },
  "trunk.refused": {
    severity: "major",
    meaning: "A trunk refuses the box's registration.",
    action: "Check the user name and password of the trunk in the site file.",
  },
  "trunk.certificate": {
    severity: "major",
    meaning: "A trunk's or the cloud PBX's certificate does not prove that it is the one named in the site file.",
    action:
      "The text says what it shows. Correct `ca_file` or `identity` in the site file, or have the provider renew it.",
  },
  "certificate.unusable": {
    severity: "major",
    meaning:
      "A certificate, key or list of authorities is missing, broken, or does not fit; the last good one stays in use.",
    action: "Put a good file there; it is taken over within seconds. `holdfast check` names each fault.",
  },
  "certificate.expires": {
    severity: "minor",
    meaning: "A certificate of the box ends soon; phones that look at dates will then no longer connect over TLS.",
    action: "Renew it in place. No restart is needed and no call is touched.",
  },
  "certificate.expired": {
    severity: "major",
    meaning: "A certificate of the box has ended. It is shown on, but phones and trunks that look at dates refuse it.",
    action: "Renew it in place. No restart is needed and no call is touched.",
  },
  "net.rules_missing": {
    severity: "critical",
    meaning: "The routing rules that keep each path's packets on their path are missing.",
    action: "Run `holdfast net apply` as root (CAP_NET_ADMIN), then `holdfast net check`.",
  },
  "net.unverified": {
    severity: "warning",
    meaning: "The engine may not look at the packet filter, so nobody knows whether it is in place.",
    action:
      "Install nftables and give the engine CAP_NET_ADMIN (AmbientCapabilities=CAP_NET_ADMIN in its unit), or look with `sudo holdfast net check`.",
  },
  "media.down": {
    severity: "critical",
    meaning: "The media process cannot be reached; calls go on without a relay where networks allow.",
    action: "It is restarted by itself. If it repeats, send its log to support.",
  },
  "registrar.strangers": {
    severity: "warning",
    meaning: "Unknown devices try to register.",
    action: "Look for a new or wrong phone, or an intruder, on the voice network.",
  },
  "registrar.phones_stuck": {
    severity: "minor",
    meaning: "Phones that registered with the box in an outage are not back with the cloud.",
    action:
      "Calls from the cloud do not reach them. The status page lists them with the reason; restart those that stay.",
  },
  "cellular.no_modem": {
    severity: "major",
    meaning: "The modem cannot be found or does not answer.",
    action: "Check its cable and power supply.",
  },
  "cellular.no_service": {
    severity: "major",
    meaning: "The modem is not registered on a network.",
    action: "Check antenna, SIM and contract.",
  },
  "cellular.weak_signal": {
    severity: "minor",
    meaning: "The cellular signal is weak (RSRP below -115 dBm).",
    action: "Move the antenna to a window or outside.",
  },
  "power.on_battery": {
    severity: "major",
    meaning: "Mains power is gone; the box runs on the UPS.",
    action: "Restore the mains. The page shows the charge that is left.",
  },
  "power.low_battery": {
    severity: "critical",
    meaning: "The UPS battery is nearly empty.",
    action: "Restore the mains at once.",
  },
  "power.ups_silent": {
    severity: "major",
    meaning: "The UPS does not answer; power state is unknown.",
    action: "Check the UPS's serial cable.",
  },
  "store.quarantined": {
    severity: "major",
    meaning: "The database was damaged and has been set aside; a new one was started.",
    action: "Nothing to do for calls. Send the file named to support if records are missed.",
  },
  "store.failing": {
    severity: "major",
    meaning: "The database cannot be written (full, locked or read-only disk).",
    action: "Free or replace the storage. Calls are not affected.",
  },
  "noc.unreachable": {
    severity: "minor",
    meaning: "The NOC cannot hear the box. This does not say that the site cannot call.",
    action: "Events wait on the box. Check the broker's address and credentials if paths are up.",
  },
} as const satisfies Record<string, { severity: Severity; meaning: string; action: string }>;

export type AlarmCode = keyof typeof ALARMS;

/** A raised alarm as status, page and NOC see it. `subject` tells two of the same code apart (a path id, a phone). */
export interface Alarm {
  readonly code: AlarmCode;
  readonly subject: string;
  readonly severity: Severity;
  /** What happened here, in one sentence. */
  readonly detail: string;
  /** Wall time it was raised, ms. */
  readonly since_wall: number;
}

export interface AlarmChange {
  readonly change: "raised" | "cleared";
  readonly alarm: Alarm;
}

/** The alarms one process holds. `set` and `clear` report a change once and are silent when nothing changes. */
export class AlarmBoard {
  readonly #active = new Map<string, Alarm>();
  readonly #wall: () => number;
  readonly #onChange: (change: AlarmChange) => void;

  constructor(wall: () => number, onChange: (change: AlarmChange) => void) {
    this.#wall = wall;
    this.#onChange = onChange;
  }

  raise(code: AlarmCode, subject: string, detail: string): void {
    const key = `${code} ${subject}`;
    if (this.#active.has(key)) return;
    const alarm: Alarm = { code, subject, severity: ALARMS[code].severity, detail, since_wall: this.#wall() };
    this.#active.set(key, alarm);
    this.#onChange({ change: "raised", alarm });
  }

  clear(code: AlarmCode, subject: string): void {
    const key = `${code} ${subject}`;
    const alarm = this.#active.get(key);
    if (alarm === undefined) return;
    this.#active.delete(key);
    this.#onChange({ change: "cleared", alarm });
  }

  /** Raises or clears by one condition, which is how most callers think of it. */
  set(code: AlarmCode, subject: string, on: boolean, detail: string): void {
    if (on) this.raise(code, subject, detail);
    else this.clear(code, subject);
  }

  active(): readonly Alarm[] {
    return [...this.#active.values()];
  }
}
