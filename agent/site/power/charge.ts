import type { Q1Reading } from "./megatec.ts";

/**
 * How full the battery is, from its voltage, for lead-acid cells under load; undefined where the voltage does not tell.
 * On mains it tells nothing: the charger holds it up whatever is inside. Nor does it while the number of cells is not
 * certain, or when it contradicts the UPS's own low-battery bit.
 */
const CELL_EMPTY_V = 1.75;
const CELL_FULL_V = 2.1;
/** Below this a value is of one cell, whatever the UPS says of its kind. */
const ONE_CELL_MAX_V = 3;
const CELLS_PER_BLOCK = 6;
/** 12 V blocks: what one measures while charging, and while discharging. */
const CHARGING_V = [12.9, 14.4] as const;
const DISCHARGING_V = [10.2, 13] as const;
const MOST_BLOCKS = 20;
/** An estimate above this is not believed when the UPS itself says that the battery is low. */
const LOW_MAX_PERCENT = 30;

/** How many 12 V blocks make this total, if only one number can. */
export function blocksOf(battery_v: number, on_mains: boolean): number | undefined {
  const [low, high] = on_mains ? CHARGING_V : DISCHARGING_V;
  let found: number | undefined;
  for (let blocks = 1; blocks <= MOST_BLOCKS; blocks++) {
    if (battery_v < low * blocks || battery_v > high * blocks) continue;
    if (found !== undefined) return undefined;
    found = blocks;
  }
  return found;
}

/** `blocks`: as learned from earlier readings, undefined when nothing was. */
export function chargePercent(reading: Q1Reading, blocks: number | undefined): number | undefined {
  const { battery_v, utility_fail, battery_low } = reading;
  if (battery_v === undefined || battery_v <= 0 || !utility_fail) return undefined;
  const cells = battery_v < ONE_CELL_MAX_V ? 1 : (blocks ?? blocksOf(battery_v, false) ?? Number.NaN) * CELLS_PER_BLOCK;
  const part = (battery_v / cells - CELL_EMPTY_V) / (CELL_FULL_V - CELL_EMPTY_V);
  if (!Number.isFinite(part)) return undefined;
  const percent = Math.round(100 * Math.min(1, Math.max(0, part)));
  return battery_low && percent > LOW_MAX_PERCENT ? undefined : percent;
}
