import type { PowerStatus } from "../../base/status.ts";

/**
 * What the box runs on, from all that tells. Anyone who says "battery" is believed before those who say "mains": a
 * second UPS may hang on another circuit. Those who know nothing have no vote.
 */
export function powerSource(
  ups: readonly Pick<PowerStatus["ups"][number], "state">[],
  gpio: readonly Pick<PowerStatus["gpio"][number], "meaning" | "on">[],
): PowerStatus["source"] {
  const mains = gpio.filter(({ meaning }) => meaning === "mains_present").map(({ on }) => on);
  if (mains.includes(false) || ups.some(({ state }) => state === "on_battery" || state === "low_battery")) {
    return "battery";
  }
  if (mains.includes(true) || ups.some(({ state }) => state === "online")) return "mains";
  return "unknown";
}
