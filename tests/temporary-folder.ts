import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whatever tests make under the system's temporary folder goes into one of this run's, which is removed at its end. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-unit-"));
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
