import { errorText } from "./base/errors.ts";
import { check } from "./cli/check.ts";
import { drill } from "./cli/drill.ts";
import { HELP } from "./cli/help.ts";
import { net } from "./cli/net.ts";
import { practice } from "./cli/practice.ts";
import { run } from "./cli/run.ts";

/** Each command takes its arguments and resolves with the exit status. */
const COMMANDS: Readonly<Record<string, (args: string[]) => Promise<number>>> = { run, check, practice, drill, net };

async function main(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(HELP.holdfast);
    return name === undefined ? 2 : 0;
  }
  const command = COMMANDS[name];
  if (command === undefined) {
    console.error(`holdfast: there is no command "${name}". The commands: ${Object.keys(COMMANDS).join(", ")}.`);
    return 2;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    console.log(HELP[name as keyof typeof HELP]);
    return 0;
  }
  return command(rest);
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(`holdfast: ${errorText(error)}`);
    process.exit(1);
  },
);
