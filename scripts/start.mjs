// npm start: installs what is missing, then runs the practice site, or with --config a real one.
import { ensureInstalled, ensureWeb, handOver } from "./bootstrap.mjs";

const args = process.argv.slice(2);
ensureInstalled();
ensureWeb();
handOver("agent/cli.ts", args.includes("--config") ? ["run", ...args] : ["practice", ...args]);
