import { join } from "node:path";
import { AlarmBoard } from "../base/alarms.ts";
import type { ByteStream } from "../base/byte-stream.ts";
import { type Clock, every } from "../base/clock.ts";
import { clockQuality } from "../base/clock-quality.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import { errorText } from "../base/errors.ts";
import { createEventFactory } from "../base/events.ts";
import { connectLink, type LinkClient } from "../base/link/link.ts";
import type { Log } from "../base/log.ts";
import { permitLive } from "../base/practice-guard.ts";
import { openSerial } from "../base/serial.ts";
import { configHash } from "../base/snapshot.ts";
import type { CellularStatus } from "../base/status.ts";
import { Modem } from "./modem.ts";
import { modemAlarms, SIGNAL_START, type WeakSignal, weakSignal } from "./modem-alarms.ts";
import { followSiteFile } from "./site-settings.ts";

const TELL_EVERY_MS = 2000;
const JUDGE_EVERY_MS = 1000;
const NOBODY = { id: "unconfigured" };

type ModemConfig = SiteConfig["modems"][number];

export interface CellularOptions {
  readonly config_file: string;
  readonly state_dir: string;
  readonly run_dir: string;
  readonly practice: boolean;
  readonly boot_id: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Where a modem's bytes come from; its serial port where left out. */
  readonly openPort?: (config: ModemConfig) => Promise<ByteStream>;
}

export interface CellularProcess {
  status(): CellularStatus;
  stop(): void;
}

interface Kept {
  readonly json: string;
  readonly modem: Modem;
  weak: WeakSignal;
  /** Monotonic ms since when no network serves it; undefined while one does. */
  unserved_since_ms: number | undefined;
}

/**
 * Owns the modems' AT ports, follows registration and signal, and tells `site`, which it does not wait for. Voice
 * calls and SMS will have folders of their own beside at/, on the same channel.
 */
export function startCellular(options: CellularOptions): CellularProcess {
  const { clock, log, practice, boot_id } = options;
  const openPort = options.openPort ?? (({ port, baud }: ModemConfig) => openSerial({ path: port, baud, clock }));
  const modems = new Map<string, Kept>();
  let config: SiteConfig | undefined;
  let link: LinkClient | undefined;

  const event = createEventFactory(
    clock,
    () => ({
      org: (config?.org ?? NOBODY).id,
      site: (config?.site ?? NOBODY).id,
      box: (config?.box ?? NOBODY).id,
      boot_id,
      practice,
    }),
    () => clockQuality(clock.wall()),
  );
  const record = (made: ReturnType<typeof event>) => {
    try {
      link?.record(made);
    } catch (error) {
      log.error("journal cannot be written; one event is lost", { type: made.type, detail: errorText(error) });
    }
  };
  const alarms = new AlarmBoard(
    () => clock.wall(),
    ({ change, alarm: { code, subject, severity, detail } }) =>
      record(event(change === "raised" ? "alarm.raised" : "alarm.cleared", subject, { code, severity, detail })),
  );

  const status = (): CellularStatus => ({
    modems: [...modems.values()].map(({ modem }) => modem.status()),
    alarms: alarms.active(),
  });
  const tell = () => link?.telemetry("cellular.status", status());

  const judge = (id: string, kept: Kept) => {
    const { state, reason, resets } = kept.modem.belief;
    if (state === "registered") kept.unserved_since_ms = undefined;
    else kept.unserved_since_ms ??= clock.now();
    const unserved_ms = kept.unserved_since_ms === undefined ? 0 : clock.now() - kept.unserved_since_ms;
    const answering = state !== "missing" && resets === 0;
    const due = modemAlarms(id, { state, reason, unserved_ms, answering });
    for (const [code, detail] of due) alarms.set(code, id, detail !== undefined, detail ?? "");
    const rsrp = kept.modem.status().rsrp_dbm;
    alarms.set("cellular.weak_signal", id, kept.weak.weak, `Modem ${id}: RSRP is ${rsrp ?? "below -115"} dBm.`);
  };

  const start = (modemConfig: ModemConfig): void => {
    const { id, path } = modemConfig;
    const kept: Kept = {
      json: JSON.stringify(modemConfig),
      weak: SIGNAL_START,
      unserved_since_ms: undefined,
      modem: new Modem({
        id,
        path,
        practice,
        clock,
        log,
        open: () => openPort(modemConfig),
        onChange() {
          judge(id, kept);
          tell();
        },
        onNews: (state, operator, rsrp_dbm) =>
          record(event("modem.changed", id, { modem: id, state, operator, rsrp_dbm })),
        onSignal(rsrp_dbm) {
          kept.weak = weakSignal(kept.weak, rsrp_dbm);
        },
      }),
    };
    modems.set(id, kept);
  };
  const end = (id: string, kept: Kept): void => {
    kept.modem.stop();
    modems.delete(id);
    for (const code of ["cellular.no_modem", "cellular.no_service", "cellular.weak_signal"] as const) {
      alarms.clear(code, id);
    }
  };

  const apply = (now: SiteConfig) => {
    config = now;
    if (!practice && !allowed(now, log)) return;
    const wanted = new Map(now.modems.map((modem) => [modem.id, JSON.stringify(modem)]));
    for (const [id, kept] of modems) if (wanted.get(id) !== kept.json) end(id, kept);
    for (const modem of now.modems) if (!modems.has(modem.id)) start(modem);
    tell();
  };

  link = connectLink(
    {
      socket_path: join(options.run_dir, "site.sock"),
      name: "cellular",
      boot_id,
      clock,
      log,
      handlers: {},
      journal_file: join(options.run_dir, "cellular.journal"),
    },
    (connected) => {
      if (connected) tell();
    },
  );
  const settings = followSiteFile({ ...options, file: options.config_file, onConfig: apply });
  const config_hash = config === undefined ? undefined : configHash(config);
  record(event("box.started", "cellular", { process: "cellular", version: options.version, config_hash }));
  const ticks = [
    every(clock, TELL_EVERY_MS, tell),
    every(clock, JUDGE_EVERY_MS, () => {
      for (const [id, kept] of modems) judge(id, kept);
    }),
  ];
  return {
    status,
    stop() {
      for (const tick of ticks) tick.cancel();
      settings.stop();
      for (const { modem } of modems.values()) modem.stop();
      link?.close();
    },
  };
}

/** Real ports are opened only under a site file that says so; until it does, none is. */
function allowed(config: SiteConfig, log: Log): boolean {
  try {
    permitLive(config.live);
    return true;
  } catch (error) {
    log.error("no modem is opened", { why: errorText(error) });
    return false;
  }
}
