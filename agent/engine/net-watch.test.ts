import { expect, test } from "vitest";
import { AlarmBoard } from "../base/alarms.ts";
import { silentLog } from "../base/log.ts";
import { ManualClock } from "../base/manual-clock.ts";
import type { NetFault } from "../net/check.ts";
import { NetWatch } from "./net-watch.ts";
import { siteConfig } from "./testing/memory-site.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("missing rules are one alarm for each path, with what to do, until they are there", async () => {
  const clock = new ManualClock();
  const alarms = new AlarmBoard(
    () => clock.wall(),
    () => {},
  );
  let faults: readonly NetFault[] = [
    {
      code: "net.rules_missing",
      subject: "lte",
      detail: "no rule from 10.50.0.5 to table 102",
      fix: "Run `holdfast net apply`.",
    },
    {
      code: "net.rules_missing",
      subject: "lte",
      detail: "table 102 has no default route",
      fix: "Run `holdfast net apply`.",
    },
  ];
  const watch = new NetWatch({ config: siteConfig(), clock, log: silentLog, alarms, check: async () => faults });
  watch.start();
  await settled();
  expect(alarms.active()).toMatchObject([
    {
      code: "net.rules_missing",
      subject: "lte",
      detail: "no rule from 10.50.0.5 to table 102; table 102 has no default route. Run `holdfast net apply`.",
    },
  ]);
  faults = [];
  watch.changed();
  clock.advance(1_000);
  await settled();
  expect(alarms.active()).toEqual([]);
  watch.close();
  expect(clock.pending).toBe(0);
});
