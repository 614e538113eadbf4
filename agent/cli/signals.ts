/**
 * Resolves on Ctrl-C, SIGTERM or a closed terminal. A second one changes nothing: whoever left at once would leave its
 * processes behind, and each of those has only so long to end.
 */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
  });
}
