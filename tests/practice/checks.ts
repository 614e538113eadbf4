const LOOK_MS = 100;

/** Keeps count, and says each result as it comes. */
export class Checks {
  passed = 0;
  failed = 0;

  tell(what: string, ok: boolean, detail = ""): void {
    if (ok) this.passed++;
    else this.failed++;
    const shown = detail.trim();
    console.log(
      `${ok ? "ok    " : "FAILED"} ${what}${shown === "" ? "" : shown.includes("\n") ? `:\n${shown}` : ` (${shown})`}`,
    );
  }

  /** A call made by the command line: it succeeded, and each of these words is in what was said of it. */
  tellCall(what: string, made: { readonly status: number; readonly output: string }, words: readonly string[]): void {
    const missing = words.filter((word) => !made.output.includes(word));
    const ok = made.status === 0 && missing.length === 0;
    this.tell(what, ok, ok ? "" : `status ${made.status}, without "${missing.join('", "')}"\n${made.output}`);
  }

  /** Looks again and again until it is so or the time is over. */
  async until(what: () => Promise<boolean>, within_ms: number): Promise<boolean> {
    const end = performance.now() + within_ms;
    for (;;) {
      if (await what()) return true;
      if (performance.now() > end) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}
