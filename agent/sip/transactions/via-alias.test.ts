import { expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest } from "../messages/build.ts";
import { header } from "../messages/headers.ts";
import type { Flow } from "../transport/flow.ts";
import { MemoryNetwork } from "../transport/memory-network.ts";
import { TransactionLayer } from "./layer.ts";

/** RFC 5923 §5: what our Via says on a TLS connection that we have made. */
test.each([
  [
    "both sides have proven who they are: the peer may use it for its own requests",
    { domains: ["a.example"], mutual: true },
    true,
  ],
  ["we have shown no certificate", { domains: ["a.example"] }, false],
  ["no TLS", undefined, false],
])("%s", (_, peer, alias) => {
  const clock = new ManualClock();
  const transport = new MemoryNetwork({ clock }).transport();
  const layer = new TransactionLayer({ transport, clock });
  const flow: Flow = {
    id: "tls:1",
    protocol: "tls",
    local: { address: "192.0.2.1", port: 40_000 },
    remote: { address: "192.0.2.2", port: 5061 },
    reliable: true,
    connected: true,
    closed: false,
    peer,
  };
  const [from, to] = ["<sip:a@example.com>;tag=1", "<sip:b@example.com>"];
  const request = buildRequest({ method: "OPTIONS", uri: "sip:b@example.com", from, to, callId: "c", cseq: 1 });
  const handlers = { onFinal: () => {}, onTimeout: () => {}, onTransportError: () => {} };
  const via = header(layer.request(request, flow, handlers).request, "Via") ?? "";
  expect(via.endsWith(";alias")).toBe(alias);
});
