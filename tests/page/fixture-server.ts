import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { HoldfastEvent } from "../../agent/base/events.ts";
import type { StatusDocument } from "../../agent/base/status.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const BEAT_MS = 1000;

/** The box as the page sees it: its files, its API with documents that a test hands in, and ways to fall silent. */
export class FixtureServer {
  readonly #root: string;
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();
  readonly #beats: NodeJS.Timeout;
  readonly posts: { readonly path: string; readonly body: unknown }[] = [];
  status: StatusDocument;
  events: HoldfastEvent[] = [];
  /** What a POST is answered with. */
  answer: { status: number; body: unknown } = { status: 200, body: {} };
  /** Streams are refused while this is set. */
  refuseStreams = false;
  /** Nothing at all is answered: connections are taken and left alone. */
  mute = false;
  /** Status requests answered. */
  asked = 0;

  constructor(root: string, status: StatusDocument) {
    this.#root = root;
    this.status = status;
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#beats = setInterval(() => this.beat(), BEAT_MS);
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    clearInterval(this.#beats);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  show(status: StatusDocument): void {
    this.status = status;
    this.#tell("status", status);
  }

  happen(event: HoldfastEvent): void {
    this.events = [event, ...this.events];
    this.#tell("event", event, event.seq);
  }

  beat(): void {
    this.#tell("beat", { now_wall: this.status.now_wall, seq: this.events[0]?.seq ?? 0 });
  }

  cutStreams(): void {
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
  }

  #tell(event: string, data: unknown, id?: number): void {
    if (this.mute) return;
    for (const stream of this.#streams) stream.write(frame(event, data, id));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.mute) return;
    // The box's own, from agent/site/api/security.ts: what it forbids must not be needed.
    response.setHeader(
      "content-security-policy",
      "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    );
    response.setHeader("x-content-type-options", "nosniff");
    const { pathname } = new URL(request.url ?? "/", "http://box.invalid");
    if (request.method === "POST") this.#post(pathname, request, response);
    else if (pathname === "/api/v1/status") {
      this.asked += 1;
      json(response, 200, this.status);
    } else if (pathname === "/api/v1/events/recent") json(response, 200, this.events);
    else if (pathname === "/api/v1/events") this.#stream(response);
    else this.#file(pathname === "/" ? "/index.html" : pathname, response);
  }

  #stream(response: ServerResponse): void {
    if (this.refuseStreams) {
      response.writeHead(503).end();
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(frame("status", this.status));
    this.#streams.add(response);
    response.on("close", () => this.#streams.delete(response));
  }

  #post(path: string, request: IncomingMessage, response: ServerResponse): void {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => {
      body += part;
    });
    request.on("end", () => {
      this.posts.push({ path, body: JSON.parse(body) });
      json(response, this.answer.status, this.answer.body);
    });
  }

  #file(path: string, response: ServerResponse): void {
    try {
      const content = readFileSync(join(this.#root, normalize(path)));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  }
}

function frame(event: string, data: unknown, id?: number): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
