/** Transparency in normal mode: what telephones and PBX offer each other must come out of the box as it went in. */
import type { Scenario, Stage } from "../../scenario.ts";
import { challenges } from "./challenged.ts";
import { dtmf } from "./dtmf.ts";
import { faxes } from "./fax.ts";
import { forks } from "./forks.ts";
import { gruus } from "./gruu.ts";
import { offers } from "./offers.ts";
import { presence } from "./presence.ts";
import { provisional } from "./provisional.ts";
import { races } from "./races.ts";
import { requests } from "./requests.ts";
import { secured } from "./secured.ts";
import { spirals } from "./spirals.ts";
import { siteOfTwoPorts, siteOverTcp } from "./stage.ts";
import { timers } from "./timers.ts";
import { transfers } from "./transfers.ts";

const onOneArm: readonly Scenario[] = [
  ...offers,
  ...challenges,
  ...dtmf,
  ...faxes,
  ...gruus,
  ...presence,
  ...requests,
  ...spirals,
  ...secured,
  ...forks,
  ...transfers,
  ...races,
  ...provisional,
  ...timers,
];

/** What crosses on the wire is judged at the box's one port, where both sides are seen in their order. */
const judgedAtOnePort = new Set(races.map(({ name }) => name));

/** The same for another site. Played by name and by `all`, but not by `npm test`. */
const elsewhere = (stage: Stage, suffix: string, where: string, scenarios: readonly Scenario[]): readonly Scenario[] =>
  scenarios.map(({ name, run, deadline_ms }) => ({
    ...{ name: `${name}-${suffix}`, summary: `${name}, ${where}`, stage, run },
    ...(deadline_ms === undefined ? {} : { deadline_ms }),
  }));

export const transparency: readonly Scenario[] = [
  ...onOneArm,
  ...elsewhere(siteOverTcp, "tcp", "with baresip and the PBX over TCP", onOneArm),
  ...elsewhere(
    siteOfTwoPorts,
    "two-port",
    "where the box has a WAN port of its own",
    onOneArm.filter(({ name }) => !judgedAtOnePort.has(name)),
  ),
];
