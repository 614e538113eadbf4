import { mkdtempSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { CertificateAuthority, type IssuedCertificate } from "../../../tests/certificate-authority.ts";
import { systemClock } from "../../base/clock.ts";
import { ManualClock } from "../../base/manual-clock.ts";
import { buildRequest, buildResponse } from "../messages/build.ts";
import type { SipMessage, SipRequest } from "../messages/message.ts";
import type { Flow, TransportError } from "./flow.ts";
import { networkTransport } from "./network-transport.ts";
import type { SipTransport } from "./sip-transport.ts";
import { tlsSockets } from "./tls.ts";
import type { TlsPolicies, TlsPolicy } from "./tls-policy.ts";

/** Real TLS over loopback; each test waits for events, none for time. */
const DAY_MS = 86_400_000;
let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let box: IssuedCertificate;
let pbx: IssuedCertificate;
let expired: IssuedCertificate;
let strangersExpired: IssuedCertificate;

beforeAll(() => {
  const directory = mkdtempSync(join(tmpdir(), "tls-"));
  authority = new CertificateAuthority(join(directory, "ca"));
  stranger = new CertificateAuthority(join(directory, "stranger"));
  const past = { from: new Date(Date.now() - 20 * DAY_MS), to: new Date(Date.now() - DAY_MS) };
  box = authority.issue("box", { names: ["DNS:box.site.example"] });
  pbx = authority.issue("pbx", { names: ["URI:sip:pbx.example", "DNS:edge-7.example"] });
  expired = authority.issue("expired", { names: ["DNS:pbx.example"], valid: past });
  strangersExpired = stranger.issue("pbx", { names: ["DNS:pbx.example"], valid: past });
});

const open: SipTransport[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(open.splice(0).map((one) => one.shutdown()));
});

function transport(policies: Record<string, TlsPolicy>, datesCount = true) {
  const refusals: string[] = [];
  const tls: TlsPolicies = { policy: (name) => policies[name], datesCount: () => datesCount };
  const made = networkTransport({ clock: systemClock, tls, onRefused: (_, detail) => refusals.push(detail) });
  open.push(made);
  return { made, refusals };
}

const serves = (own: IssuedCertificate, more: Partial<TlsPolicy> = {}): TlsPolicy => ({
  own,
  asks_client: false,
  ...more,
});
const reaches = (domain: string, more: Partial<TlsPolicy> = {}): TlsPolicy => ({
  ca_pem: authority.pem,
  peer_domain: domain,
  asks_client: false,
  ...more,
});

function options(via = "SIP/2.0/TLS box.site.example;branch=z9hG4bKx;rport"): SipRequest {
  const [from, to] = ["<sip:a@example.com>;tag=1", "<sip:b@example.com>"];
  return buildRequest({ method: "OPTIONS", uri: "sip:b@example.com", from, to, callId: "c1", cseq: 1, via });
}

const next = (from: SipTransport): Promise<{ message: SipMessage; flow: Flow }> =>
  new Promise((resolve) => from.onMessage((message, flow) => resolve({ message, flow })));
const lost = (from: SipTransport): Promise<TransportError | undefined> =>
  new Promise((resolve) => from.onFlowClosed((_, error) => resolve(error)));

/** What becomes of a request to a server with this certificate. */
async function attempt(server: TlsPolicy, client: TlsPolicy, datesCount = true) {
  const b = transport({ pbx: server });
  const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "pbx" });
  const a = transport({ trunk: client }, datesCount);
  const answered = next(a.made);
  const failed = lost(a.made);
  b.made.onMessage((message, flow) => {
    if (message.kind === "request") b.made.send(flow, buildResponse(message, 200));
  });
  const flow = a.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "trunk" });
  a.made.send(flow, options());
  const outcome = await Promise.race([answered.then(() => "answered" as const), failed]);
  return { outcome, flow, received: b.made.counters.received };
}

describe("who a server is (RFC 5922)", () => {
  test("a request and its response cross a connection whose server proves the domain by a sip URI", async () => {
    const { outcome, flow } = await attempt(serves(pbx), reaches("pbx.example"));
    expect(outcome).toBe("answered");
    expect(flow.peer).toEqual({ domains: ["pbx.example"] });
  });

  test("a DNS name does not count beside a sip URI, and nothing is sent to who proves another domain", async () => {
    const { outcome, received } = await attempt(serves(pbx), reaches("edge-7.example"));
    expect(outcome).toMatchObject({
      code: "ECERT",
      detail: expect.stringContaining("names pbx.example, not edge-7.example"),
    });
    expect(received).toBe(0);
  });

  test("an authority that is not the trunk's proves nothing", async () => {
    const { outcome, received } = await attempt(serves(pbx), reaches("pbx.example", { ca_pem: stranger.pem }));
    expect(outcome).toMatchObject({ code: "ECERT", detail: expect.stringContaining("not trusted") });
    expect(received).toBe(0);
  });

  test("without a CA file the public authorities count, who have not vouched for a test", async () => {
    const policy: TlsPolicy = { peer_domain: "pbx.example", asks_client: false };
    expect((await attempt(serves(pbx), policy)).outcome).toMatchObject({ code: "ECERT" });
  });

  test("nobody is connected to under a policy that names no domain", async () => {
    const { outcome } = await attempt(serves(pbx), { asks_client: false });
    expect(outcome).toMatchObject({ code: "ECERT" });
  });
});

describe("dates and a clock that nobody trusts", () => {
  test("an expired certificate is refused by a clock that is right, with its dates as evidence", async () => {
    const { outcome } = await attempt(serves(expired), reaches("pbx.example"));
    expect(outcome).toMatchObject({ code: "ECERTDATE", detail: expect.stringMatching(/CERT_HAS_EXPIRED.*valid from/) });
  });

  test("that nothing but a date was wrong is told, and a policy of last resort overlooks it", async () => {
    const { outcome } = await attempt(serves(expired), reaches("pbx.example"));
    expect(outcome).toMatchObject({ code: "ECERTDATE" });
    expect((await attempt(serves(expired), reaches("pbx.example", { overlooks_dates: true }))).outcome).toBe(
      "answered",
    );
    const stranger = await attempt(serves(strangersExpired), reaches("pbx.example", { overlooks_dates: true }));
    expect(stranger.outcome).toMatchObject({ code: "ECERT" });
  });

  test("it is taken while the clock is not trusted, and the flow says what was overlooked", async () => {
    const { outcome, flow } = await attempt(serves(expired), reaches("pbx.example"), false);
    expect(outcome).toBe("answered");
    expect(flow.peer?.overlooked).toContain("CERT_HAS_EXPIRED");
  });

  test("a stranger's expired certificate is not: behind the date OpenSSL hides that nobody vouches for it", async () => {
    const { outcome, received } = await attempt(serves(strangersExpired), reaches("pbx.example"), false);
    expect(outcome).toMatchObject({ code: "ECERT", detail: expect.stringContaining("not trusted") });
    expect(received).toBe(0);
  });
});

describe("mutual TLS", () => {
  const demands = (): TlsPolicy =>
    serves(pbx, { asks_client: true, ca_pem: authority.pem, peer_domain: "box.site.example" });

  test("the client's certificate proves its domain", async () => {
    const b = transport({ pbx: demands() });
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "pbx" });
    const a = transport({ trunk: reaches("pbx.example", { own: box }) });
    const arrived = next(b.made);
    a.made.send(a.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "trunk" }), options());
    expect((await arrived).flow.peer).toEqual({ domains: ["box.site.example"] });
  });

  for (const [who, own] of [
    ["who shows none", () => undefined],
    ["who proves another domain", () => pbx],
  ] as const) {
    test(`${who} is turned away and nothing of it is read`, async () => {
      const b = transport({ pbx: demands() });
      const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "pbx" });
      const shown = own();
      const a = transport({ trunk: reaches("pbx.example", shown === undefined ? {} : { own: shown }) });
      const gone = lost(a.made);
      a.made.send(a.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "trunk" }), options());
      await gone;
      expect(b.refusals).toHaveLength(1);
      expect(b.made.counters.received).toBe(0);
      expect(b.made.counters.dropped.handshake).toBe(1);
    });
  }

  test("its `alias` makes one connection serve both directions, where both have proven who they are (RFC 5923)", async () => {
    const b = transport({ peer: { ...demands() } });
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "peer" });
    const a = transport({ trunk: reaches("pbx.example", { own: box }) });
    const arrived = next(b.made);
    const flow = a.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "trunk" });
    a.made.send(flow, options("SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKa;alias"));
    const { flow: accepted } = await arrived;
    const towards = { protocol: "tls", address: "127.0.0.1", port: 5061 } as const;
    expect(b.made.flowTo({ ...towards, tls: "peer" })).toBe(accepted);
    // Another policy has another peer in mind; and without one only the very ends count.
    expect(b.made.flowTo(towards).closed).toBe(true);
  });
});

describe("connections are used in both directions", () => {
  test("a response whose connection is gone goes by a new one to the sent-by, to who proves the same (§18.2.2)", async () => {
    const mutual = (own: IssuedCertificate, domain: string): TlsPolicy => ({
      ...reaches(domain, { own }),
      asks_client: true,
    });
    const b = transport({ trunk: mutual(pbx, "box.site.example") });
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "trunk" });
    const a = transport({ trunk: mutual(box, "pbx.example") });
    const own = await a.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "trunk" });
    const arrived = next(b.made);
    const way = a.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "trunk" });
    a.made.send(way, options(`SIP/2.0/TLS 127.0.0.1:${own.port};branch=z9hG4bKg`));
    const { message, flow } = await arrived;
    const gone = lost(b.made);
    a.made.close(way);
    await gone;
    const answered = next(a.made);
    if (message.kind === "request") b.made.send(flow, buildResponse(message, 200));
    const response = await answered;
    expect(response.message).toMatchObject({ kind: "response", status: 200 });
    expect(response.flow.local.port).toBe(own.port);
  });

  test("to a phone only its own connection leads; when that is gone there is no way", async () => {
    const b = transport({ lan: serves(box) });
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "lan" });
    const phone = transport({ box: reaches("box.site.example") });
    const arrived = next(b.made);
    const made = phone.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "box" });
    phone.made.send(made, options());
    const { flow } = await arrived;
    const { address, port } = flow.remote;
    expect(b.made.flowTo({ protocol: "tls", address, port, local_address: flow.local.address })).toBe(flow);
    const gone = lost(b.made);
    phone.made.close(made);
    await gone;
    expect(b.made.flowTo({ protocol: "tls", address, port }).closed).toBe(true);
  });
});

describe("a certificate is renewed", () => {
  test("new connections get the new one, while the old connection lives on", async () => {
    const policies: Record<string, TlsPolicy> = { lan: serves(box) };
    const b = transport(policies);
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "lan" });
    const seen = (): Promise<{ serial: string; socket: Socket }> =>
      new Promise((resolve) => {
        const socket = connectTls({
          host: "127.0.0.1",
          port: at.port,
          ca: authority.pem,
          servername: "box.site.example",
        });
        socket.once("secureConnect", () => resolve({ serial: socket.getPeerCertificate().serialNumber, socket }));
        sockets.push(socket);
      });
    const before = await seen();
    expect(before.serial).toBe(box.serial);
    const renewed = authority.issue("box-renewed", { names: ["DNS:box.site.example"] });
    policies.lan = serves(renewed);
    expect((await seen()).serial).toBe(renewed.serial);
    const arrived = next(b.made);
    before.socket.write(
      "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bKz\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    );
    expect((await arrived).flow.local.port).toBe(at.port);
  });

  test("a key that does not fit costs that connection alone", async () => {
    const policies: Record<string, TlsPolicy> = { lan: serves(box) };
    const b = transport(policies);
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "lan" });
    policies.lan = { own: { certificate_pem: box.certificate_pem, key_pem: pbx.key_pem }, asks_client: false };
    const ended = new Promise<void>((resolve) => {
      const socket = connectTls({ host: "127.0.0.1", port: at.port, rejectUnauthorized: false });
      socket.on("error", () => {});
      socket.once("close", () => resolve());
      sockets.push(socket);
    });
    await ended;
    expect(b.made.counters.dropped.handshake).toBe(1);
    policies.lan = serves(box);
    const arrived = next(b.made);
    const phone = transport({ box: reaches("box.site.example") });
    phone.made.send(phone.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "box" }), options());
    await arrived;
  });
});

describe("hostile clients", () => {
  test("hundreds of half-open handshakes from many addresses keep no phone out", async () => {
    const b = transport({ lan: serves(box) });
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "lan" });
    const connected: Promise<void>[] = [];
    for (let i = 0; i < 600; i++) {
      const socket = connectTcp({ port: at.port, host: "127.0.0.1", localAddress: `127.0.1.${1 + (i % 100)}` });
      sockets.push(socket);
      socket.on("error", () => {});
      connected.push(new Promise((resolve) => void socket.once("connect", () => resolve())));
    }
    await Promise.all(connected);
    const arrived = next(b.made);
    const phone = transport({ box: reaches("box.site.example") });
    phone.made.send(phone.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "box" }), options());
    expect((await arrived).flow.protocol).toBe("tls");
    expect(b.made.counters.dropped.handshake).toBeGreaterThanOrEqual(300);
  });

  test("of half-open handshakes the oldest of the same source go, and a phone still gets in", async () => {
    const b = transport({ lan: serves(box) });
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "lan" });
    const closed: Promise<void>[] = [];
    for (let i = 0; i < 40; i++) {
      const socket = connectTcp(at.port, "127.0.0.1");
      sockets.push(socket);
      socket.on("error", () => {});
      if (i < 20) closed.push(new Promise((resolve) => void socket.once("close", () => resolve())));
    }
    await Promise.all(closed);
    const arrived = next(b.made);
    const phone = transport({ box: reaches("box.site.example") });
    phone.made.send(phone.made.flowTo({ protocol: "tls", address: "127.0.0.1", port: at.port, tls: "box" }), options());
    expect((await arrived).flow.protocol).toBe("tls");
  });

  test("what is no TLS at all is closed, and a renegotiation is not done", async () => {
    const b = transport({ lan: serves(box) });
    const at = await b.made.listen({ protocol: "tls", address: "127.0.0.1", port: 0, tls: "lan" });
    await new Promise<void>((resolve) => {
      const socket = connectTcp(at.port, "127.0.0.1", () => socket.write("OPTIONS sip:x SIP/2.0\r\n\r\n"));
      socket.on("error", () => {});
      socket.once("close", () => resolve());
      sockets.push(socket);
    });
    expect(b.refusals).toHaveLength(1);
    const asked = await new Promise<Error | null>((resolve) => {
      const socket = connectTls({ host: "127.0.0.1", port: at.port, maxVersion: "TLSv1.2", rejectUnauthorized: false });
      socket.on("error", (error) => resolve(error));
      socket.once("secureConnect", () => void socket.renegotiate({}, (error) => resolve(error)));
      sockets.push(socket);
    });
    expect(String(asked)).toMatch(/renegotiation/i);
  });
});

test("who has connected before makes no room for a crowd of strangers", async () => {
  const refused: string[] = [];
  const limits = { at_once: 2, per_source: 9, per_second: 100, handshake_ms: 8_000 };
  const secure = tlsSockets({
    ...{ clock: new ManualClock(), limits },
    policies: { policy: () => serves(box), datesCount: () => true },
    refused: ({ address }) => void refused.push(address),
  });
  const server = await secure.listen({ address: "127.0.0.1", port: 0 }, () => undefined, "lan");
  const to = (localAddress: string) => ({ host: "127.0.0.1", port: server.local.port, localAddress });
  const half = (from: string) =>
    new Promise<void>((resolve) => {
      const socket = connectTcp(to(from), resolve);
      sockets.push(socket.on("error", () => {}));
    });
  // The server takes it, and ends it, once the handshake is over.
  await new Promise((resolve) => {
    const phone = connectTls({ ...to("127.0.0.9"), rejectUnauthorized: false });
    sockets.push(phone.on("error", () => {}).on("close", resolve));
    phone.resume();
  });
  await half("127.0.0.9");
  for (let n = 0; n < 3; n++) await half("127.0.0.1");
  await expect.poll(() => refused).toEqual(["127.0.0.1", "127.0.0.1"]);
  for (const socket of sockets) socket.destroy();
  await server.close();
});
