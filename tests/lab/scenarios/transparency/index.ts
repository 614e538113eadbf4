/** Transparency in normal mode: what telephones and PBX offer each other must come out of the box as it went in. */
import type { Scenario } from "../../scenario.ts";
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
import { timers } from "./timers.ts";
import { transfers } from "./transfers.ts";

export const transparency: readonly Scenario[] = [
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
