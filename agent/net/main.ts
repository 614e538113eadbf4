import { parseArgs } from "node:util";
import { faultText, loadConfig } from "../base/config/load.ts";
import { errorText } from "../base/errors.ts";
import { applyNet, removeNet } from "./apply.ts";
import { checkNet } from "./check.ts";

/**
 * The root helper: `apply|check|down --config FILE`. It does its work and ends. Exit status: 0 all well, 1 something is
 * missing or was refused, 2 wrong usage or an invalid site file.
 */
async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { config: { type: "string", default: "site.yaml" } },
  });
  const [action] = positionals;
  if (action === "down") {
    for (const change of await removeNet()) console.log(change);
    return 0;
  }
  if (action !== "apply" && action !== "check") {
    console.error("usage: net apply|check|down --config FILE");
    return 2;
  }
  const loaded = loadConfig(values.config);
  if (!loaded.ok) {
    for (const fault of loaded.faults) console.error(faultText(fault));
    return 2;
  }
  if (action === "apply") {
    const { changes, faults } = await applyNet(loaded.config);
    for (const change of changes) console.log(change);
    for (const fault of faults) console.error(fault);
    return faults.length === 0 ? 0 : 1;
  }
  const faults = await checkNet(loaded.config);
  for (const { subject, detail, fix } of faults) console.error(`${subject}: ${detail}. ${fix}`);
  if (faults.length === 0) console.log("Rules, tables and firewall are in place.");
  return faults.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(errorText(error));
  process.exitCode = 1;
}
