import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Where one box keeps its things: `state` on disk (database, snapshot, logs), `run` on tmpfs (sockets, journals). */
export interface Directories {
  readonly state: string;
  readonly run: string;
}

/**
 * Makes both. Without `run` it is a folder on tmpfs named after the state directory, so that the same box finds its
 * journals again and two boxes on one machine keep apart. Unix socket paths must stay under 108 bytes.
 */
export function directories(state: string, run: string | undefined): Directories {
  const stateDir = resolve(state);
  const name = createHash("sha256").update(stateDir).digest("hex").slice(0, 12);
  const runDir = run === undefined ? join(tmpfs(), `holdfast-${process.getuid?.() ?? 0}`, name) : resolve(run);
  mkdirSync(stateDir, { recursive: true, mode: 0o750 });
  mkdirSync(runDir, { recursive: true, mode: 0o750 });
  return { state: stateDir, run: runDir };
}

function tmpfs(): string {
  for (const folder of [process.env.XDG_RUNTIME_DIR, "/dev/shm"]) {
    if (folder === undefined || folder === "") continue;
    try {
      accessSync(folder, constants.W_OK);
      return folder;
    } catch {
      // Not here; the next one.
    }
  }
  return tmpdir();
}
