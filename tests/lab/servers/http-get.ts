/** Gets a URL and prints the body; exit 1 when it is not answered with 200 within a second. */
const PATIENCE_MS = 1000;
try {
  const response = await fetch(process.argv[2] ?? "", { signal: AbortSignal.timeout(PATIENCE_MS) });
  console.log(await response.text());
  process.exit(response.status === 200 ? 0 : 1);
} catch {
  process.exit(1);
}
