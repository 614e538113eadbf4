import { parseArgs } from "node:util";
import { faultText, loadConfig } from "../base/config/load.ts";
import { HELP } from "./help.ts";

/** `holdfast check`: every fault of a site file, one a line. */
export async function check(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { config: { type: "string" } } });
  if (values.config === undefined) {
    console.error(HELP.check);
    return 2;
  }
  const result = loadConfig(values.config);
  if (!result.ok) {
    for (const fault of result.faults) console.error(faultText(fault));
    console.error(`${result.faults.length} ${result.faults.length === 1 ? "error" : "errors"} in ${values.config}`);
    return 1;
  }
  const { config } = result;
  console.log(
    `${values.config} is good: ${config.site.name}, ${config.extensions.length} extensions, ${config.trunks.length} trunks, ` +
      `${config.live ? "live: real equipment will be used" : "not live: it cannot run a real site yet"}.`,
  );
  return 0;
}
