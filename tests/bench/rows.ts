/** The rows of the table: what is measured, what is wanted, and how the one is judged by the other. */

import { falseDetectionMinutes } from "./figures/false-detections.ts";
import { ROUND_TRIPS_MS } from "./figures/first-second.ts";
import type { Measurements } from "./figures/job.ts";
import { sum, summarise } from "./statistics.ts";

/** What of several values stands in the table and is judged. */
type Judged = "max" | "median" | "total";

export interface RowPlan {
  readonly name: string;
  readonly figure: string;
  readonly unit: string;
  readonly judged: Judged;
  /** Undefined: shown, its goal is later work. */
  readonly limit: number | undefined;
  /** What later work is to reach, shown only. */
  readonly later?: number;
  readonly holdfast: string;
  readonly kamailio: string | undefined;
}

export interface Side {
  readonly n: number;
  readonly value: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Every value, in the order of measuring. */
  readonly values: readonly number[];
}

export interface Row {
  readonly name: string;
  readonly figure: string;
  readonly unit: string;
  readonly judged: Judged;
  readonly goal: string;
  readonly holdfast: Side | undefined;
  readonly kamailio: Side | undefined;
  /** Holdfast divided by Kamailio. */
  readonly ratio: number | undefined;
  readonly verdict: "met" | "missed" | "shown" | "not measured";
}

/** Design figure: UDP under 20 ms of round trip 300 ms; longer round trips and TCP 4 round trips and 300 ms. */
const firstSecondLimit_ms = (transport: "udp" | "tcp", rtt_ms: number): number =>
  transport === "udp" && rtt_ms < 20 ? 300 : 4 * rtt_ms + 300;

const firstSecond = (["udp", "tcp"] as const).flatMap((transport) =>
  ROUND_TRIPS_MS.map(
    (rtt_ms): RowPlan => ({
      name: `911 into an unnoticed black hole → INVITE on LTE, ${transport.toUpperCase()}, RTT ${rtt_ms} ms`,
      figure: "first-second",
      unit: "ms",
      judged: "max",
      limit: firstSecondLimit_ms(transport, rtt_ms),
      holdfast: `holdfast_${transport}_rtt${rtt_ms}_ms`,
      kamailio: `kamailio_${transport}_rtt${rtt_ms}_ms`,
    }),
  ),
);

const linkEvents = (["link_down", "route_lost"] as const).flatMap((event): RowPlan[] => {
  const common = { figure: "link-events", unit: "ms", judged: "max", limit: 10 } as const;
  const title = event === "link_down" ? "link down" : "route lost";
  return [
    { name: `${title}, then 911, the first since the start → INVITE on LTE`, key: `${event}_then_dialled_ms` },
    { name: `911, the first since the start, waits; then ${title} → INVITE on LTE`, key: `dialled_then_${event}_ms` },
  ].map(({ name, key }) => ({ ...common, name, holdfast: `holdfast_${key}`, kamailio: `kamailio_${key}` }));
});

const falseDetections = (quick: boolean): RowPlan[] =>
  [5, 20].flatMap((loss) =>
    [true, false].map((echo) => ({
      name: `living WAN declared dead in ${falseDetectionMinutes(quick)} min at ${loss} % loss, ${echo ? "with" : "without"} an echo responder`,
      figure: "false-detections",
      unit: "times",
      judged: "total",
      limit: 0,
      holdfast: `holdfast_false_loss${loss}_${echo ? "echo" : "no_echo"}`,
      kamailio: echo ? `kamailio_false_loss${loss}` : undefined,
    })),
  );

const detection: readonly RowPlan[] = [
  {
    name: "black hole → declared, with an echo responder",
    limit: 1,
    key: "detection_with_echo_s",
    kamailio: "kamailio_detection_s",
  },
  {
    name: "black hole → declared, no echo responder, a call under way",
    limit: 1,
    key: "detection_without_echo_call_s",
  },
  {
    name: "first evidence → declared, no echo responder, nobody calls",
    limit: 5,
    key: "detection_without_echo_quiet_s",
  },
  { name: "cut → MQTT event at the NOC, over LTE", limit: 3, key: "noc_s" },
].map(({ name, limit, key, kamailio }) => ({
  name,
  figure: "detection",
  unit: "s",
  judged: "max",
  limit,
  holdfast: `holdfast_${key}`,
  kamailio,
}));

const perOperation = (key: string, name: string, later: number): RowPlan[] => {
  const common = {
    figure: "load",
    unit: "µs",
    judged: "median",
    limit: undefined,
    kamailio: `kamailio_${key}_us`,
  } as const;
  return [
    { ...common, name: `CPU of one ${name}: the engine`, later, holdfast: `holdfast_${key}_us` },
    { ...common, name: `CPU of one ${name}: all processes of the box`, holdfast: `holdfast_${key}_box_us` },
  ];
};

const shown = (
  figure: string,
  unit: string,
  name: string,
  holdfast: string,
  kamailio: string,
  later?: number,
): RowPlan => ({
  ...{ figure, unit, name, holdfast, kamailio, judged: "median", limit: undefined },
  ...(later === undefined ? {} : { later }),
});

/** Design figures whose reaching is later work. */
const load: readonly RowPlan[] = [
  ...perOperation("register", "REGISTER with digest (challenged and granted)", 60),
  ...perOperation("call", "call by the cloud with digest", 600),
  shown(
    "storm",
    "ms",
    "500 telephones register at once, with digest → last 200 OK",
    "holdfast_storm_ms",
    "kamailio_storm_ms",
    50,
  ),
  {
    ...shown(
      "storm",
      "requests",
      "repeated requests in all these storms",
      "holdfast_storm_repeated",
      "kamailio_storm_repeated",
      0,
    ),
    judged: "total",
  },
  shown("storm", "MB", "memory with 500 bindings: the engine, Pss", "holdfast_engine_pss_mb", "kamailio_pss_mb"),
  shown("storm", "MB", "memory with 500 bindings: the engine, Rss", "holdfast_engine_rss_mb", "kamailio_rss_mb", 120),
  shown(
    "storm",
    "MB",
    "memory with 500 bindings: all processes of the box, Pss",
    "holdfast_box_pss_mb",
    "kamailio_pss_mb",
  ),
  shown(
    "cold-start",
    "ms",
    "exec of the engine → first 200 OK on OPTIONS",
    "holdfast_cold_engine_ms",
    "kamailio_cold_ms",
    500,
  ),
  shown(
    "cold-start",
    "ms",
    "exec of `holdfast run` → first 200 OK on OPTIONS",
    "holdfast_cold_box_ms",
    "kamailio_cold_ms",
    500,
  ),
];

export const rowPlans = (quick: boolean): readonly RowPlan[] => [
  ...firstSecond,
  ...linkEvents,
  {
    name: `911 calls wrongly sent to LTE at 5 % loss each way`,
    figure: "wrong-hedges",
    unit: "calls",
    judged: "total",
    limit: 0,
    holdfast: "holdfast_wrongly_hedged",
    kamailio: "kamailio_wrongly_hedged",
  },
  ...detection,
  ...falseDetections(quick),
  ...load,
];

export function rowOf(plan: RowPlan, values: Measurements["values"]): Row {
  const holdfast = sideOf(plan, values[plan.holdfast]);
  const kamailio = plan.kamailio === undefined ? undefined : sideOf(plan, values[plan.kamailio]);
  const { name, figure, unit, judged, limit } = plan;
  const ratio =
    holdfast === undefined || kamailio === undefined || kamailio.value === 0
      ? undefined
      : holdfast.value / kamailio.value;
  const verdict =
    holdfast === undefined
      ? "not measured"
      : limit === undefined
        ? "shown"
        : holdfast.value <= limit
          ? "met"
          : "missed";
  return { name, figure, unit, judged, goal: goalText(plan), holdfast, kamailio, ratio, verdict };
}

function goalText({ limit, later, unit }: RowPlan): string {
  const text = (value: number) => (value === 0 ? "0" : `≤ ${value}${unit === "" ? "" : ` ${unit}`}`);
  if (limit !== undefined) return text(limit);
  return later === undefined ? "–" : `later ${text(later)}`;
}

function sideOf({ judged }: RowPlan, values: readonly number[] | undefined): Side | undefined {
  const summary = summarise(values ?? []);
  if (values === undefined || summary === undefined) return undefined;
  const value = judged === "total" ? sum(values) : summary[judged];
  return { value, ...summary, values };
}
