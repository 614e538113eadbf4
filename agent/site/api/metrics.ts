import { Gauge, Registry } from "@prometheus-io/client";
import { ALARMS } from "../../base/alarms.ts";
import type { StatusDocument } from "../../base/status.ts";

export interface MetricsInput {
  readonly status: StatusDocument;
  readonly callCounts: Readonly<Record<string, number>>;
  readonly undelivered_dropped: number;
}

const STATES = ["up", "degraded", "suspect", "down", "unknown"] as const;
const READINESS = ["ready", "one_path", "not_ready", "unknown"] as const;
const AVAILABILITIES = ["online", "limited", "offline", "unknown"] as const;
const WAYS = ["wan", "lte", "modem", "not_possible", "unknown"] as const;

/**
 * The status as Prometheus text. What is unknown is not repeated from memory: its series say `unknown` or are absent,
 * while `holdfast_process_fresh` and `holdfast_emergency_ready` are always there, so that alerts on them cannot
 * resolve by a series' vanishing. No extension or number is a label.
 */
export async function renderMetrics(input: MetricsInput): Promise<{ type: string; body: string }> {
  const { status } = input;
  const { engine, cellular } = status;
  const registry = new Registry();
  const gauge = <L extends string>(name: string, help: string, labels: readonly L[] = []) =>
    new Gauge<L>({ name: `holdfast_${name}`, help, labelNames: [...labels], registers: [registry] });

  gauge("build_info", "Version of the program", ["version", "box", "site", "org"]).set(
    { version: status.box.version, box: status.box.id, site: status.site.id, org: status.org.id },
    1,
  );
  gauge("practice", "1 when everything is simulated (PRACTICE)").set(status.practice ? 1 : 0);
  const fresh = gauge("process_fresh", "1 when the process was heard of lately", ["process"]);
  for (const [process, { fresh: is }] of Object.entries(status.processes)) fresh.set({ process }, is ? 1 : 0);

  const readiness = engine?.emergency.state ?? "unknown";
  gauge("emergency_ready", "1 when a 911 call could leave now, 0 when not or not known").set(
    readiness === "ready" || readiness === "one_path" ? 1 : 0,
  );
  const states = gauge("emergency_state", "1 for the state of 911 readiness", ["state"]);
  for (const state of READINESS) states.set({ state }, state === readiness ? 1 : 0);
  const way = engine?.calls_go_by ?? "unknown";
  const ways = gauge("call_path", "1 for the way that calls to the outside take", ["path"]);
  for (const path of WAYS) ways.set({ path }, path === way ? 1 : 0);

  if (engine !== undefined) {
    const paths = gauge("path_state", "1 for the state of the path", ["path", "kind", "state"]);
    const rtt = gauge("path_rtt_seconds", "Smoothed round-trip time of the path's probes", ["path"]);
    const loss = gauge("path_loss_ratio", "Probes lost", ["path"]);
    for (const { id, kind, state: is, rtt_ms, loss_percent } of engine.paths) {
      for (const state of STATES) paths.set({ path: id, kind, state }, state === is ? 1 : 0);
      if (rtt_ms !== undefined) rtt.set({ path: id }, rtt_ms / 1000);
      if (loss_percent !== undefined) loss.set({ path: id }, loss_percent / 100);
    }
    const trunks = gauge("trunk_state", "1 for the state of the trunk", ["trunk", "kind", "path", "state"]);
    for (const { id, kind, path, state: is } of engine.trunks) {
      for (const state of STATES) trunks.set({ trunk: id, kind, path, state }, state === is ? 1 : 0);
    }
    gauge("phones_expected", "Extensions of the site").set(engine.phones.length);
    gauge("phones_registered", "Extensions with a registered phone").set(
      engine.phones.filter(({ availability }) => availability === "online" || availability === "limited").length,
    );
    const extensions = gauge("extensions", "Extensions by availability", ["availability"]);
    const devices = gauge("devices", "Telephones by availability", ["availability"]);
    for (const availability of AVAILABILITIES) {
      extensions.set({ availability }, engine.phones.filter((phone) => phone.availability === availability).length);
      const those = engine.phones
        .flatMap((phone) => phone.devices)
        .filter((each) => each.availability === availability);
      devices.set({ availability }, those.length);
    }
    gauge("phones_stuck", "Phones that the cloud has not got back after an outage").set(engine.stuck_phones.length);
    const calls = gauge("calls_active", "Calls going on", ["kind"]);
    for (const kind of ["internal", "outbound", "inbound", "emergency"] as const) {
      calls.set({ kind }, engine.calls.filter((call) => call.kind === kind).length);
    }
    const counters = gauge("engine_counter", "The engine's counters since its start", ["name"]);
    for (const [name, value] of Object.entries(engine.counters)) counters.set({ name }, value);
  }
  const signal = gauge("modem_rsrp_dbm", "Reference signal received power", ["modem"]);
  for (const { id, rsrp_dbm } of cellular?.modems ?? [])
    if (rsrp_dbm !== undefined) signal.set({ modem: id }, rsrp_dbm);

  if (status.power.source !== "unknown") {
    gauge("ups_on_battery", "1 when the box runs on battery").set(status.power.source === "battery" ? 1 : 0);
  }
  const charge = gauge("ups_battery_charge_ratio", "Charge of the UPS battery", ["ups"]);
  for (const { id, charge_percent } of status.power.ups) {
    if (charge_percent !== undefined) charge.set({ ups: id }, charge_percent / 100);
  }
  const { cpu_percent, cpu_temperature_c, memory_used_percent, disk_used_percent } = status.host;
  if (cpu_percent !== undefined) gauge("host_cpu_ratio", "Load of the processor").set(cpu_percent / 100);
  if (cpu_temperature_c !== undefined) gauge("host_cpu_celsius", "Temperature of the processor").set(cpu_temperature_c);
  if (memory_used_percent !== undefined)
    gauge("host_memory_used_ratio", "Memory in use").set(memory_used_percent / 100);
  if (disk_used_percent !== undefined) gauge("host_disk_used_ratio", "Disk in use").set(disk_used_percent / 100);

  gauge("noc_connected", "1 when the NOC's broker can be reached").set(status.noc.state === "connected" ? 1 : 0);
  gauge("outbox_events", "Events that the NOC has not acknowledged").set(status.noc.waiting_events);
  gauge("outbox_dropped", "Events given up before the NOC acknowledged them").set(input.undelivered_dropped);
  const alarms = gauge("alarms_active", "Alarms that are raised", ["code", "severity"]);
  for (const [code, { severity }] of Object.entries(ALARMS)) {
    alarms.set({ code, severity }, status.alarms.filter((alarm) => alarm.code === code).length);
  }
  const ended = gauge("calls_ended", "Calls that have ended, as far as records are kept", ["kind"]);
  for (const [kind, count] of Object.entries(input.callCounts)) ended.set({ kind }, count);
  return { type: registry.contentType, body: await registry.metrics() };
}
