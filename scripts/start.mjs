// npm start: installs what is missing, then runs the practice site, or with --config a real one.
import { ensureInstalled, ensureWeb, handOver } from "./bootstrap.mjs";

const args = process.argv.slice(2);
ensureInstalled();
ensureWeb();
const real = args.some((arg) => arg === "--config" || arg.startsWith("--config="));
handOver("agent/cli.ts", [real ? "run" : "practice", ...args]);
