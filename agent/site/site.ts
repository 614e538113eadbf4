import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AlarmBoard } from "../base/alarms.ts";
import { type Clock, every } from "../base/clock.ts";
import { clockQuality } from "../base/clock-quality.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import { errorText, HoldfastError } from "../base/errors.ts";
import { createEventFactory, type HealthState } from "../base/events.ts";
import type { LinkHandlers } from "../base/link/channel.ts";
import { connectLink, type LinkServer, serveLink } from "../base/link/link.ts";
import type { Requests, RequestType, Telemetry } from "../base/link/messages.ts";
import type { Log } from "../base/log.ts";
import { permitLive } from "../base/practice-guard.ts";
import type { StatusDocument } from "../base/status.ts";
import { buildApi } from "./api/app.ts";
import { ApiListeners } from "./api/listeners.ts";
import { loadTokens, type RoleToken, rolesOf } from "./api/tokens.ts";
import { NocLink } from "./cloud/noc-link.ts";
import { CertificateKeeper } from "./config/certificate-keeper.ts";
import { SiteFile } from "./config/site-file.ts";
import { SnapshotKeeper } from "./config/snapshot-keeper.ts";
import { deviceDescription } from "./discovery/description.ts";
import { Discovery, deviceUuid } from "./discovery/ssdp.ts";
import { HostHealth } from "./host/host-health.ts";
import { locationLines } from "./locations/location-lines.ts";
import {
  drillStart,
  drillStop,
  type Operations,
  type Operator,
  perform,
  ROLES,
  statusRead,
} from "./operations/operations.ts";
import { OwnEvents } from "./own-events.ts";
import { createPower } from "./power/power.ts";
import { forgottenAlarms } from "./status/forgotten-alarms.ts";
import { StatusBoard } from "./status/status-board.ts";
import { Store } from "./store/store.ts";
import { VERSION } from "./version.ts";
import { ownHosts, webAddresses } from "./web-addresses.ts";

/** Alarms of killed processes are told over within this time. */
const ALARMS_REVIEWED_EVERY_MS = 15_000;
const MEDIA_ASKED_EVERY_MS = 2000;
const NEWS_MS = 5000;
const PRACTICE_CALL_PATIENCE_MS = 75_000;
const QUARANTINE_ALARM_MS = 24 * 3_600_000;
const WEB_ROOT = new URL("../../web-ui/dist", import.meta.url).pathname;
const NOBODY = { id: "unconfigured", name: "Not configured" };

export interface SiteOptions {
  readonly config_file: string;
  readonly state_dir: string;
  readonly run_dir: string;
  readonly practice: boolean;
  readonly lan: boolean;
  readonly boot_id: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly web_root?: string;
}

export interface RunningSite {
  readonly status: () => StatusDocument;
  /** `address port` of each place where the page listens. */
  readonly listening: () => readonly string[];
  close(): Promise<void>;
}

/** Puts the site process together and runs it. Nothing that goes wrong here reaches a call. */
export async function startSite(options: SiteOptions): Promise<RunningSite> {
  const { clock, log, practice, state_dir, run_dir, boot_id } = options;
  for (const folder of [state_dir, run_dir]) mkdirSync(folder, { recursive: true, mode: 0o750 });
  const quality = () => clockQuality(clock.wall());

  const keeper = new SnapshotKeeper({
    file: join(state_dir, "snapshot.json"),
    practice,
    clock,
    onFault: (detail) => alarms.set("store.failing", "snapshot", detail !== undefined, detail ?? ""),
  });
  const config = (): SiteConfig | undefined => siteFile.config;
  const event = createEventFactory(
    clock,
    () => ({
      org: config()?.org.id ?? NOBODY.id,
      site: config()?.site.id ?? NOBODY.id,
      box: config()?.box.id ?? NOBODY.id,
      boot_id,
      practice,
    }),
    quality,
  );
  const alarms = new AlarmBoard(
    () => clock.wall(),
    ({ change, alarm: { code, subject, severity, detail } }) => {
      own.record(event(change === "raised" ? "alarm.raised" : "alarm.cleared", subject, { code, severity, detail }));
      board.touch();
    },
  );
  const certificates = new CertificateKeeper({
    clock,
    log,
    alarms,
    lastGood: keeper.snapshot?.certificates,
    clockQuality: quality,
    onChange(bundle) {
      const snapshot = keeper.certificatesAre(bundle);
      if (snapshot !== undefined) link?.telemetry("engine", "site.snapshot", snapshot);
    },
  });
  const siteFile = new SiteFile({
    file: options.config_file,
    practice,
    clock,
    lastGood: keeper.lastGood,
    onApplied(applied, hash) {
      alarms.clear("config.rejected", "");
      const changed = keeper.snapshot?.config_hash !== hash;
      const snapshot = keeper.configIs(applied, certificates.follow(applied));
      link?.telemetry("engine", "site.snapshot", snapshot);
      if (changed) own.record(event("config.applied", "", { config_hash: hash }));
      log.info("site file applied", { config_hash: hash });
      configured();
    },
    onRejected(faults) {
      log.error("site file rejected", { faults });
      alarms.clear("config.rejected", "");
      alarms.raise("config.rejected", "", faults.slice(0, 5).join("; "));
      own.record(event("config.rejected", "", { faults: faults.slice(0, 50) }));
    },
  });

  const store = new Store({
    file: join(state_dir, "holdfast.db"),
    clock,
    log,
    onFault: (detail) => alarms.set("store.failing", "database", detail !== undefined, detail ?? ""),
    onQuarantined(file, detail) {
      own.record(event("store.quarantined", "", { file, detail }));
      alarms.clear("store.quarantined", "");
      alarms.raise("store.quarantined", "", `Set aside as ${file}: ${detail}`);
      clock.after(QUARANTINE_ALARM_MS, () => alarms.clear("store.quarantined", ""));
    },
  });
  const own = new OwnEvents(join(run_dir, "site.journal"), store, log);
  const discovery = practice ? undefined : new Discovery(clock, log);
  const health = new HostHealth(clock, state_dir);
  const board = new StatusBoard({
    clock,
    practice,
    alarms,
    sources: {
      identity() {
        const now = config();
        return {
          org: now?.org ?? NOBODY,
          site: {
            id: now?.site.id ?? NOBODY.id,
            name: now?.site.name ?? NOBODY.name,
            main_number: now?.site.main_number ?? "",
          },
          box: { id: now?.box.id ?? NOBODY.id, version: VERSION, boot_id },
        };
      },
      power: () => power.status(),
      host: () => health.status,
      noc: () => noc.status,
      clockQuality: quality,
      alarms: () => [],
      cellularExpected: () => (config()?.modems.length ?? 0) > 0,
    },
  });
  const power = createPower({
    config: { ups: [], gpio_lines: [] },
    practice,
    run_dir,
    clock,
    log,
    event,
    alarms,
    record: (made) => own.record(made),
    onChange: () => board.touch(),
  });
  const alarmsReviewed = every(clock, ALARMS_REVIEWED_EVERY_MS, () => {
    const expected = (config()?.modems.length ?? 0) > 0;
    for (const { code, subject, severity, detail } of forgottenAlarms(store.openAlarms(), board.document(), expected)) {
      own.record(event("alarm.cleared", subject, { code, severity, detail }));
    }
  });
  const basics = { name: "site", boot_id, clock, log } as const;
  const media = connectLink({ ...basics, socket_path: join(run_dir, "media.sock"), handlers: {} });
  const mediaAsked = every(clock, MEDIA_ASKED_EVERY_MS, () => {
    // Any answer, a refusal too, is a sign of life.
    if (media.connected)
      media.ask("media.call", { method: "list", args: [] }).then(
        () => board.heard("media"),
        () => {},
      );
  });
  const world = practice
    ? connectLink(
        {
          ...basics,
          socket_path: join(run_dir, "practice.sock"),
          handlers: {
            telemetry(type, data) {
              if (type === "practice.status") board.cableIs((data as Telemetry["practice.status"]).wan);
            },
          },
        },
        (connected) => {
          if (!connected) board.cableIs(undefined);
        },
      )
    : undefined;

  const operations: Operations = {
    practice,
    ports: {
      status: () => board.document(),
      drillMaxMs: () => config()?.drill.max_ms ?? 1_800_000,
      engine: (type, question) => askEngine(type, question),
      practice(type, question) {
        if (world === undefined) return Promise.reject(new HoldfastError("link.closed", "There is no practice world."));
        return world.ask(type, question, PRACTICE_CALL_PATIENCE_MS);
      },
    },
  };
  const noc = new NocLink({
    clock,
    log,
    alarms,
    store,
    operations,
    boot_id,
    version: VERSION,
    practice,
    status: () => board.document(),
    onChange: () => board.touch(),
  });
  let pathStates: Readonly<Record<string, HealthState>> = {};
  const pathsAre = (states: typeof pathStates) => {
    pathStates = states;
    noc.pathsAre(states);
  };
  board.onChange((document) => {
    if (document.engine === undefined) pathsAre({});
    noc.statusChanged();
  });

  const cli: Operator = { by: "cli", roles: new Set(ROLES) };
  const handlers: LinkHandlers = {
    telemetry(type, data) {
      if (type === "engine.status") {
        const status = data as Telemetry["engine.status"];
        board.engineSaid(status);
        pathsAre(Object.fromEntries(status.paths.map(({ id, state }) => [id, state])));
      } else if (type === "cellular.status") board.cellularSaid(data as Telemetry["cellular.status"]);
      else if (type === "engine.bindings") keeper.bindingsAre(data as Telemetry["engine.bindings"]);
      else if (type === "engine.learned") keeper.learned(data as Telemetry["engine.learned"]);
    },
    record(recorded, acknowledge) {
      // The verdict itself is quicker than the next status; one resent from a journal is history.
      if (recorded.type === "path.health" && clock.now() - recorded.mono_ms < NEWS_MS) {
        pathsAre({ ...pathStates, [recorded.data.path]: recorded.data.to });
      }
      store.add(recorded, acknowledge);
    },
    // The socket is the box's own user's, so whoever reaches it may act in every role.
    async ask<T extends RequestType>(type: T, question: Requests[T]["question"]): Promise<Requests[T]["answer"]> {
      const answer = await answerCli(type, question);
      return answer as Requests[T]["answer"];
    },
  };
  async function answerCli(type: RequestType, question: unknown): Promise<unknown> {
    const { by, ...rest } = question as { by?: unknown };
    const operator = typeof by === "string" ? { ...cli, by } : cli;
    if (type === "drill.start") return perform(operations, drillStart, rest, operator);
    if (type === "drill.stop") return perform(operations, drillStop, {}, operator);
    if (type === "status.read") return perform(operations, statusRead, {}, operator);
    throw new HoldfastError("link.refused", `${type} is not answered by site.`);
  }
  function askEngine<T extends "drill.start" | "drill.stop">(
    type: T,
    question: Requests[T]["question"],
  ): Promise<Requests[T]["answer"]> {
    if (link === undefined) return Promise.reject(new HoldfastError("link.closed", "The engine is not connected."));
    return link.ask("engine", type, question);
  }

  let link: LinkServer | undefined;
  const listeners = new ApiListeners(clock, log, () =>
    buildApi({
      practice,
      version: VERSION,
      log,
      operations,
      store,
      stream: {
        clock,
        status: () => board.document(),
        onStatus: (listener) => board.onChange(listener),
        onEvent: (listener) => store.onStored(listener),
        eventsAfter: (seq, limit) => store.eventsAfter(seq, limit),
        get lastSeq() {
          return store.lastSeq;
        },
      },
      ownHosts: () => ownHosts(config()),
      rolesOf: (token) => rolesOf(tokens, token),
      locations: () => {
        const now = config();
        return now === undefined ? [] : locationLines(now);
      },
      description: () => {
        const now = config();
        return now === undefined ? undefined : deviceDescription(board.document(), deviceUuid(now));
      },
      web_root: options.web_root ?? WEB_ROOT,
    }),
  );
  function configured(): void {
    const now = config();
    if (now !== undefined) {
      if (!practice) permitLive(now.live);
      power.configIs(now);
      noc.configure(now);
      discovery?.configure(now);
    }
    void listeners.want(webAddresses(config(), { practice, lan: options.lan }));
    board.touch();
  }

  const tokens = practice ? [] : roleTokens(join(state_dir, "tokens.json"), log);
  store.open();
  link = await serveLink({ ...basics, socket_path: join(run_dir, "site.sock"), handlers }, (peer, connected) => {
    if (peer === "engine" && connected && keeper.snapshot !== undefined) {
      link?.telemetry("engine", "site.snapshot", keeper.snapshot);
    }
  });
  siteFile.start();
  // With a bad site file the last good one is in force, and nothing above was told of it.
  if (keeper.lastGood !== undefined && siteFile.config === keeper.lastGood) {
    keeper.certificatesAre(certificates.follow(keeper.lastGood));
  }
  configured();
  own.record(event("box.started", "site", { process: "site", version: VERSION, config_hash: siteFile.hash }));
  await listeners.want(webAddresses(config(), { practice, lan: options.lan }));

  return {
    status: () => board.document(),
    listening: () => listeners.listening,
    async close() {
      mediaAsked.cancel();
      alarmsReviewed.cancel();
      siteFile.close();
      certificates.close();
      await noc.close();
      power.stop();
      discovery?.close();
      health.close();
      media.close();
      world?.close();
      await listeners.close();
      await link?.close();
      board.close();
      keeper.close();
      store.close();
      own.close();
    },
  };
}

/** Without tokens nobody can act over HTTP; the page itself needs none. */
function roleTokens(file: string, log: Log): readonly RoleToken[] {
  try {
    const { tokens, made } = loadTokens(file);
    if (made) log.info("role tokens made; give each person the token of their role", { file });
    return tokens;
  } catch (error) {
    log.error("role tokens can be neither read nor written", { file, detail: errorText(error) });
    return [];
  }
}
