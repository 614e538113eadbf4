/** One 911 call dialled at the moment of a cut. */
import { cellular, hosts, numbers } from "../../lab/addresses.ts";
import { AwaitedTooLong, sleep } from "../../lab/deadline.ts";
import type { Lab } from "../../lab/lab.ts";
import type { Phone } from "../branch/phone.ts";

export interface Dialled {
  readonly port: number;
}

/** A call that has not left by LTE after so long counts as this long, and as never. */
export const NEVER_MS = 8000;

export interface Trial {
  /** Wall-clock ms, by the kernel: when the telephone's INVITE was at the branch server's port. */
  readonly dialled_at: number;
  /** When the first INVITE was at the carrier; undefined: never. */
  readonly on_lte_at: number | undefined;
}

/** Dials 911 and waits for it at the carrier; the caller gives up then, and the cut is healed at the same moment. */
export async function dial(
  lab: Lab,
  phone: Phone,
  server: Dialled,
  act: { readonly cut: () => Promise<void>; readonly later?: () => Promise<void>; heal(): Promise<void> },
): Promise<Trial> {
  const { captures } = lab;
  const [atBox, atTrunk] = [captures.lan.messages.mark, captures.lte.messages.mark];
  await act.cut();
  const call = phone.dial(numbers.emergency, server.port);
  const later = act.later?.();
  const dialled = await captures.lan.request(
    "the 911 INVITE to reach the branch server",
    3000,
    { method: "INVITE", from: phone.address, where: ({ to }) => to.endsWith(`:${server.port}`) },
    atBox,
  );
  const seen = await captures.lte
    .request(
      "the 911 INVITE to reach the trunk",
      NEVER_MS,
      { method: "INVITE", from: cellular.box, to: hosts.lteTrunk },
      atTrunk,
    )
    .catch((error: unknown) => {
      if (error instanceof AwaitedTooLong) return undefined;
      throw error;
    });
  await later;
  phone.cancel(call);
  await act.heal();
  await phone.over(call, 40_000);
  return { dialled_at: dialled.at, on_lte_at: seen?.at };
}

export const milliseconds = ({ dialled_at, on_lte_at }: Trial): number =>
  on_lte_at === undefined ? NEVER_MS : on_lte_at - dialled_at;

/** Anywhere in the interval of the probes, so that cuts and probes do not march in step. */
export const anyPhase = (interval_ms: number): Promise<void> => sleep(Math.random() * interval_ms);
