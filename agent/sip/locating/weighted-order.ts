import type { SrvRecord } from "./records.ts";

/**
 * SRV records in the order in which they are to be tried (RFC 2782): by priority, and within one priority drawn at random
 * so that the chance to come next is the weight over the sum of the weights left. `random` gives 0 … 1, 1 excluded.
 */
export function weightedOrder(records: readonly SrvRecord[], random: () => number): readonly SrvRecord[] {
  const priorities = [...new Set(records.map(({ priority }) => priority))].sort((a, b) => a - b);
  return priorities.flatMap((wanted) => {
    const same = records.filter(({ priority }) => priority === wanted);
    return drawn(same, random);
  });
}

function drawn(records: readonly SrvRecord[], random: () => number): readonly SrvRecord[] {
  // Weight 0 stands in front, so that it is drawn only by the very number 0.
  const left = [...records].sort((a, b) => Number(a.weight > 0) - Number(b.weight > 0));
  const order: SrvRecord[] = [];
  while (left.length > 0) {
    const sum = left.reduce((total, { weight }) => total + weight, 0);
    // A whole number from 0 to the sum, both included.
    const number = Math.floor(random() * (sum + 1));
    let running = 0;
    const at = left.findIndex(({ weight }) => {
      running += weight;
      return running >= number;
    });
    order.push(...left.splice(Math.max(at, 0), 1));
  }
  return order;
}
