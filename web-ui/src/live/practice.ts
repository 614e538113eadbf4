/** What came of a wish; texts are the box's own. */
export type Outcome =
  | { readonly kind: "done"; readonly ok: boolean; readonly lines: readonly string[] }
  | { readonly kind: "refused"; readonly detail: string }
  | { readonly kind: "unreachable" };

/** Adapter: the two practice actions of the page. A practice call answers when it is over or stands. */
export function moveCable(wan: "plugged" | "pulled"): Promise<Outcome> {
  return post("/api/v1/practice/cable", { wan }, 15_000);
}

export function placeCall(from: string, to: string): Promise<Outcome> {
  return post("/api/v1/practice/call", { from, to }, 120_000);
}

async function post(path: string, question: object, within_ms: number): Promise<Outcome> {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question),
      signal: AbortSignal.timeout(within_ms),
    });
    const answer: unknown = await response.json().catch(() => undefined);
    const fields = typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : {};
    if (!response.ok) return { kind: "refused", detail: String(fields.detail ?? response.status) };
    const lines = Array.isArray(fields.lines) ? fields.lines.map(String) : [];
    return { kind: "done", ok: fields.ok !== false, lines };
  } catch {
    return { kind: "unreachable" };
  }
}
