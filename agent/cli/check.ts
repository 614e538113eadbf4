import { parseArgs } from "node:util";
import { readCertificates } from "../base/certificates.ts";
import { systemClock } from "../base/clock.ts";
import { type ConfigFault, faultText, type LoadResult, loadConfig } from "../base/config/load.ts";
import { HELP } from "./help.ts";

/** `holdfast check`: every fault of a site file, one a line. */
export async function check(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { config: { type: "string" } } });
  if (values.config === undefined) {
    console.error(HELP.check);
    return 2;
  }
  const result = loadConfig(values.config);
  const faults = result.ok ? certificateFaults(result) : result.faults;
  if (!result.ok || faults.length > 0) {
    for (const fault of faults) console.error(faultText(fault));
    console.error(`${faults.length} ${faults.length === 1 ? "error" : "errors"} in ${values.config}`);
    return 1;
  }
  const { config } = result;
  console.log(
    `${values.config} is good: ${config.site.name}, ${config.extensions.length} extensions, ${config.trunks.length} trunks, ` +
      `${config.live ? "live: real equipment will be used" : "not live: it cannot run a real site yet"}.`,
  );
  return 0;
}

/** Missing, broken, mismatched and expired certificates and keys. */
function certificateFaults({ config, place }: Extract<LoadResult, { ok: true }>): ConfigFault[] {
  const { faults } = readCertificates(config, systemClock.wall());
  return faults.map(({ path, found, allowed }) => ({ ...place(path), found, allowed }));
}
