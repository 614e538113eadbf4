import type { Alarm } from "../base/alarms.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import { dispatchLines } from "../base/dispatch-lines.ts";
import type { CallStatus, EngineStatus, PathStatus, PhoneStatus, Readiness, TrunkStatus } from "../base/status.ts";
import type { Contacts } from "./registrar/contacts.ts";
import type { PhoneWatch } from "./registrar/phone-watch.ts";
import type { RoutingView } from "./routing/plan-types.ts";

/** Everything the status document is made of. Plain data, so that making it is a pure function. */
export interface StatusInput {
  readonly configured: boolean;
  readonly config_hash: string | undefined;
  readonly config: SiteConfig;
  readonly failover: Pick<EngineStatus, "mode" | "mode_since_wall" | "mode_reasons" | "drill">;
  readonly view: RoutingView;
  readonly paths: readonly PathStatus[];
  readonly trunks: readonly TrunkStatus[];
  readonly contacts: Contacts;
  readonly phones: Pick<PhoneWatch, "statusOf" | "stuck">;
  readonly calls: readonly CallStatus[];
  readonly emergency: Readiness;
  readonly callback_until_wall: number | undefined;
  readonly call_moves: EngineStatus["call_moves"];
  readonly alarms: readonly Alarm[];
  readonly counters: Readonly<Record<string, number>>;
}

export function engineStatus(input: StatusInput): EngineStatus {
  const { config, view } = input;
  const place = config.locations.find(({ id }) => id === config.site.location);
  return {
    config: input.configured ? "snapshot" : "defaults",
    config_hash: input.config_hash,
    ...input.failover,
    calls_go_by: callsGoBy(view),
    paths: input.paths,
    trunks: input.trunks,
    phones: config.extensions.map((extension) => phoneStatus(extension.id, config, input)),
    stuck_phones: input.phones.stuck(),
    calls: input.calls,
    emergency: input.emergency,
    site_location_lines: place === undefined ? [] : dispatchLines(place.civic),
    callback_until_wall: input.callback_until_wall,
    call_moves: input.call_moves,
    alarms: input.alarms,
    counters: input.counters,
  };
}

/** How a call to the outside would leave now: by the PBX in normal mode, else by the first main-number trunk. */
export function callsGoBy({ mode, trunks }: RoutingView): EngineStatus["calls_go_by"] {
  const usable = trunks.filter(({ state, path }) => state !== "down" && path.state !== "down");
  const wanted =
    mode === "normal"
      ? usable.find(({ kind }) => kind === "pbx")
      : usable.find(({ kind, roles }) => kind === "trunk" && roles.includes("main_number"));
  return wanted?.path.kind ?? "not_possible";
}

function phoneStatus(extensionId: string, config: SiteConfig, { contacts, phones }: StatusInput): PhoneStatus {
  const extension = config.extensions.find(({ id }) => id === extensionId);
  const bindings = contacts.ofExtension(extensionId);
  const device = config.devices.find((each) => each.extension === extensionId && each.location !== undefined);
  const own = device?.location ?? extension?.location;
  const label = config.locations.find(({ id }) => id === (own ?? config.site.location))?.label ?? "";
  return {
    extension: extensionId,
    number: extension?.number ?? "",
    name: extension?.name ?? "",
    ...phones.statusOf(extensionId),
    contacts: bindings.length,
    trust: bindings[0]?.trust,
    location_label: label,
    location_own: own !== undefined,
  };
}
