/** Cuts a modem's bytes into lines. Tolerates `\r\n`, `\r\r\n` and lone `\r` or `\n`; empty lines vanish. */
const LINE_LIMIT = 2048;
const PROMPT = "> ";

export type Piece = { readonly type: "line"; readonly text: string } | { readonly type: "prompt" };

export class AtLines {
  #line = "";
  #overlong = false;

  push(text: string): Piece[] {
    const pieces: Piece[] = [];
    for (const char of text) {
      if (char === "\r" || char === "\n") {
        const line = this.#line.trim();
        // What was too long to be a reply is dropped whole: its head could be mistaken for one.
        if (line !== "" && !this.#overlong) pieces.push({ type: "line", text: line });
        this.#line = "";
        this.#overlong = false;
      } else if (this.#line.length >= LINE_LIMIT) this.#overlong = true;
      else if (char >= " " || char === "\t") {
        this.#line += char;
        // The prompt for a message's text has no line end (TS 27.005 §3.5.1).
        if (this.#line === PROMPT) {
          pieces.push({ type: "prompt" });
          this.#line = "";
        }
      }
    }
    return pieces;
  }

  /** Forgets a half line. */
  clear(): void {
    this.#line = "";
    this.#overlong = false;
  }
}
