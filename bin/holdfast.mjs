#!/usr/bin/env node
// holdfast: the command line, under the pinned Node whatever the system's is.
import { ensureInstalled, handOver } from "../scripts/bootstrap.mjs";

ensureInstalled();
handOver("agent/cli.ts", process.argv.slice(2));
