import type { StuckPhoneStatus } from "../../../agent/base/status.ts";
import type { At } from "./page-view.ts";
import { type EngineOr, type Known, known, sinceText } from "./text.ts";

export interface StuckPhoneRow {
  readonly key: string;
  readonly number: string;
  readonly name: string;
  readonly address: string;
  /** What the phone says it is. */
  readonly model: string;
  readonly since: string;
  readonly why: string;
}

/** Phones that registered with the box in an outage and that the cloud has not got back. */
export function stuckRows(engine: EngineOr, at: At): Known<readonly StuckPhoneRow[]> {
  return known(engine, at, ({ stuck_phones }) => stuck_phones.map((phone, n) => stuckRow(phone, n, at)));
}

function stuckRow(
  { number, name, address, user_agent, since_wall, why, sip_status }: StuckPhoneStatus,
  n: number,
  at: At,
) {
  const { t, named } = at.words;
  return {
    key: `${number} ${address} ${n}`,
    number,
    name,
    address,
    model: user_agent,
    since: sinceText(since_wall, at),
    why: sip_status === undefined ? named("stuck.", why) : t("stuck.refused_with", { status: sip_status }),
  };
}
