import { describe, expect, test } from "vitest";
import { ha1Of } from "../../sip/auth/digest.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { cseqOf, header, headerList, headerValues, setHeader } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import type { MemoryPhone } from "../testing/memory-phone.ts";
import { BOX, type MemorySite, memorySite, siteConfig } from "../testing/memory-site.ts";

const config = () =>
  siteConfig((site) => {
    const [first] = site.extensions;
    if (first !== undefined) first.ha1_md5 = ha1Of("MD5", "101", "pbx.example", "secret");
  });

/** Waits for what a promise gives, letting time pass meanwhile. */
async function within<T>(site: MemorySite, ms: number, promise: Promise<T>): Promise<T> {
  await site.pass(ms);
  return promise;
}

async function survivable(): Promise<MemorySite> {
  const site = await memorySite({ config: config() });
  site.setTrunk("down");
  site.setMode("survivable");
  return site;
}

const contactsIn = (response: SipResponse) => headerList(response, "Contact");

/** A challenge without what is new each time. */
const shape = (response: SipResponse) =>
  [
    `${response.status} ${response.reason}`,
    ...response.headers.map(({ name, value }) =>
      /^(Via|From|To|Call-ID|CSeq)$/.test(name) ? name : `${name}: ${value.replace(/nonce="[^"]*"/, "")}`,
    ),
  ].join("\n");

function withRealm(request: SipRequest, realm: string): SipRequest {
  setHeader(
    request,
    "Authorization",
    `Digest username="101", realm="${realm}", nonce="n", uri="sip:pbx.example", response="${"0".repeat(32)}", algorithm=MD5`,
  );
  return request;
}

describe("the mirror, while the cloud decides", () => {
  test("digest challenges pass through untouched", async () => {
    const site = await memorySite({ challenge: true });
    const phone = await site.phone("101", "10.20.0.101");
    const answer = await within(site, 20, phone.send(phone.registerRequest()));
    expect(answer.status).toBe(401);
    expect(header(answer, "WWW-Authenticate")).toMatch(/^Digest realm="pbx.example"/);
    expect(site.parts.store.all()).toEqual([]);
  });

  test("contacts of others in the cloud's 200 are not kept", async () => {
    const site = await memorySite();
    site.pbx.foreign = ["<sip:101@198.51.100.7:5060>;expires=900"];
    const phone = await site.phone("101", "10.20.0.101");
    const answer = await within(site, 20, phone.register());
    expect(contactsIn(answer)).toHaveLength(2);
    expect(site.parts.store.ofExtension("ext-101").map(({ contact }) => contact)).toEqual([phone.contact]);
  });

  test("a 200 that lists nobody has stored nothing", async () => {
    const site = await memorySite();
    site.pbx.intercept = (tx) => {
      tx.respond(buildResponse(tx.request, 200));
      return true;
    };
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, 20, phone.register());
    expect(site.parts.store.all()).toEqual([]);
  });

  test("a PBX that lists contacts as it sees their source has accepted, for the shortest time that it names", async () => {
    const site = await memorySite();
    site.pbx.intercept = (tx) => {
      const headers = [
        { name: "Contact", value: "<sip:101@203.0.113.2:5080>;expires=90, <sip:101@198.51.100.7>;expires=300" },
      ];
      tx.respond(buildResponse(tx.request, 200, { headers }));
      return true;
    };
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, 20, phone.register());
    expect(site.parts.store.ofExtension("ext-101").map(({ contact }) => contact)).toEqual([phone.contact]);
    await site.pass(91_000);
    expect(site.parts.store.all()).toEqual([]);
  });

  test("Service-Route, P-Associated-URI, GRUUs and digest headers of the cloud's 200 reach the phone as they are", async () => {
    const site = await memorySite();
    const contact = `<sip:101@10.20.0.101:5060>;+sip.instance="<urn:uuid:1>";pub-gruu="sip:101@pbx.example;gr=urn:uuid:1"`;
    const told = [
      { name: "Contact", value: `${contact};expires=120` },
      { name: "Service-Route", value: "<sip:edge.pbx.example;lr>" },
      { name: "P-Associated-URI", value: "<tel:+13035550101>" },
      { name: "Authentication-Info", value: 'qop=auth, rspauth="0", cnonce="c", nc=00000001' },
    ];
    site.pbx.intercept = (tx) => {
      tx.respond(buildResponse(tx.request, 200, { headers: told }));
      return true;
    };
    const phone = await site.phone("101", "10.20.0.101");
    const answer = await within(site, 20, phone.register());
    for (const { name, value } of told) expect(headerValues(answer, name)).toEqual([value]);
  });

  test("a refresh that the cloud refuses changes nothing here, and the phone hears the refusal", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, 20, phone.register());
    site.pbx.intercept = (tx) => {
      tx.respond(buildResponse(tx.request, 423, { headers: [{ name: "Min-Expires", value: "600" }] }));
      return true;
    };
    const answer = await within(site, 20, phone.register({ expires: 60 }));
    expect([answer.status, header(answer, "Min-Expires")]).toEqual([423, "600"]);
    expect(site.parts.store.all()).toHaveLength(1);
  });

  test("a second contact of the same instance stays while the cloud lists it", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    const contact = (port: number) => `<sip:101@10.20.0.101:${port}>;+sip.instance="<urn:uuid:1>"`;
    await within(site, 20, phone.register({ contact: contact(5071) }));
    const anew = phone.registerRequest({ contact: contact(5072) });
    setHeader(anew, "Call-ID", "after-reboot");
    await within(site, 20, phone.send(anew));
    expect(site.parts.store.ofExtension("ext-101")).toHaveLength(2);
    site.pbx.contacts.set("101", []);
    const again = phone.registerRequest({ contact: contact(5073) });
    setHeader(again, "Call-ID", "after-another");
    await within(site, 20, phone.send(again));
    expect(site.parts.store.ofExtension("ext-101").map(({ contact: uri }) => uri)).toEqual([
      "sip:101@10.20.0.101:5073",
    ]);
    expect(site.changes).toContainEqual(expect.objectContaining({ kind: "removed", reason: "replaced" }));
  });

  test("the expiry is the cloud's", async () => {
    const site = await memorySite();
    site.pbx.granted_s = 120;
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, 20, phone.register({ expires: 3600 }));
    await site.pass(119_000);
    expect(site.parts.store.all()).toHaveLength(1);
    await site.pass(2_000);
    expect(site.parts.store.all()).toHaveLength(0);
  });

  test("one device's de-registration leaves the other's binding", async () => {
    const site = await memorySite();
    const desk = await site.phone("101", "10.20.0.101");
    const soft = await site.phone("101", "10.20.0.111");
    void desk.register();
    void soft.register();
    await site.pass(20);
    expect(site.parts.store.ofExtension("ext-101")).toHaveLength(2);
    await within(site, 20, desk.register({ expires: 0 }));
    expect(site.parts.store.ofExtension("ext-101").map(({ contact }) => contact)).toEqual([soft.contact]);
    expect(site.changes.at(-1)).toMatchObject({ kind: "removed", reason: "unregistered" });
  });

  test("a wildcard removes what the cloud says is gone", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, 20, phone.register());
    const answer = await within(site, 20, phone.register({ expires: 0, contact: "*" }));
    expect(answer.status).toBe(200);
    expect(site.parts.store.all()).toEqual([]);
  });

  test("bindings and the way to the phone outlive a restart", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, 20, phone.register());
    await site.restart();
    expect(site.parts.store.ofExtension("ext-101")).toHaveLength(1);
    const answer = await within(site, 20, site.pbx.sendTo("101", "NOTIFY"));
    expect(answer.status).toBe(200);
    expect(phone.received.at(-1)).toMatchObject({ method: "NOTIFY", uri: phone.contact });
  });

  test("a refresh keeps its token, so that the cloud's Path stays good", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, 20, phone.register());
    await within(site, 20, phone.register());
    const [first, second] = site.pbx.received("REGISTER").map((request) => header(request, "Path"));
    expect(first).toBe(second);
  });

  test("where the cloud does not know Path, the contact is rewritten, and the phone sees its own", async () => {
    const site = await memorySite({
      config: siteConfig((changed) => {
        const [pbx] = changed.pbx_targets;
        if (pbx !== undefined) pbx.path_header = false;
      }),
    });
    const phone = await site.phone("101", "10.20.0.101");
    const answer = await within(site, 20, phone.register());
    const sent = site.pbx.received("REGISTER")[0];
    expect(sent && header(sent, "Path")).toBeUndefined();
    expect(sent && header(sent, "Contact")).toMatch(new RegExp(`^<sip:f\\.[^@]*@${BOX}:5062>`));
    expect(contactsIn(answer)).toEqual([`<${phone.contact}>;expires=600`]);
    const notified = await within(site, 20, site.pbx.sendTo("101", "NOTIFY"));
    expect(notified.status).toBe(200);
    expect(phone.received.at(-1)).toMatchObject({ method: "NOTIFY", uri: phone.contact });
  });
});

describe("phones that do not answer", () => {
  test("a request that comes to nothing tells that its phone is unreachable, until it is heard again", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, 20, phone.register());
    const flow = { protocol: "udp", remote: { address: phone.address, port: 5060 } } as const;
    site.network.setPaths(BOX, phone.address, { cut: "black-hole" });
    void site.pbx.sendTo("101", "NOTIFY").catch(() => {});
    await site.pass(33_000);
    expect(site.parts.reach.of(flow)?.detail).toBe("it did not answer a request");
    site.network.setPaths(BOX, phone.address, {});
    await within(site, 20, phone.register());
    expect(site.parts.reach.of(flow)).toBeUndefined();
  });

  test("one whose connection ends is unreachable by that", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    const transport = site.network.transport();
    const flow = transport.flowTo({ protocol: "tcp", address: BOX, port: 5060, local_address: phone.address });
    const via = { name: "Via", value: `SIP/2.0/TCP ${phone.address};branch=z9hG4bK1` };
    transport.send(flow, phone.registerRequest({ headers: [via] }));
    await site.pass(20);
    const [binding] = site.parts.store.ofExtension("ext-101");
    const remote = { address: phone.address, port: binding?.source_port ?? 0 };
    expect([binding?.transport, site.parts.reach.of({ protocol: "tcp", remote })]).toEqual(["tcp", undefined]);
    transport.close(flow);
    await site.pass(20);
    expect(site.parts.reach.of({ protocol: "tcp", remote })?.detail).toBe("its connection has ended");
  });

  test("contacts that the cloud has by other ways are counted, a phone of ours under another name is not", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    site.pbx.foreign = ["<sip:101@198.51.100.7>;expires=100"];
    await within(site, 20, phone.register());
    expect(site.parts.registrar.elsewhere("sip:101@pbx.example")).toBe(1);
    site.pbx.foreign = [];
    await within(site, 20, phone.register());
    expect(site.parts.registrar.elsewhere("sip:101@pbx.example")).toBe(0);
  });
});

describe("a cloud that does not answer", () => {
  async function silentCloud(): Promise<{ site: MemorySite; phone: MemoryPhone }> {
    const site = await memorySite();
    const phone = await site.phone("102", "10.20.0.102");
    await within(site, 20, phone.register());
    site.network.setPaths(BOX, "10.40.0.10", { cut: "black-hole" });
    return { site, phone };
  }

  test("a known phone has its answer after 1.5 s when the cloud has not proved to be there", async () => {
    const { site, phone } = await silentCloud();
    site.setTrunk("unknown");
    const answered = phone.register();
    let done = false;
    void answered.then(() => {
      done = true;
    });
    await site.pass(1_400);
    expect([done, site.parts.registrar.size]).toEqual([false, 1]);
    await site.pass(200);
    expect((await answered).status).toBe(200);
    expect(site.parts.registrar.size).toBe(0);
    expect(site.observed).toContainEqual({ kind: "no_response", method: "REGISTER" });
  });

  test("a verdict of suspect answers what waits at once", async () => {
    const { site, phone } = await silentCloud();
    const answered = phone.send(phone.registerRequest());
    await site.pass(100);
    site.setTrunk("suspect");
    expect((await within(site, 10, answered)).status).toBe(200);
  });

  test("only the first one waits for a cloud that has not proved to be there", async () => {
    const { site, phone } = await silentCloud();
    site.setTrunk("unknown");
    await within(site, 1_600, phone.register());
    expect((await within(site, 10, phone.register())).status).toBe(200);
    site.network.setPaths(BOX, "10.40.0.10", {});
    site.setTrunk("up");
    await within(site, 20, phone.register());
    expect(site.pbx.received("REGISTER").length).toBeGreaterThan(1);
  });

  test("a cloud that is up gets its time", async () => {
    const { site, phone } = await silentCloud();
    let done = false;
    void phone.register().then(() => {
      done = true;
    });
    await site.pass(5_000);
    expect(done).toBe(false);
    site.network.setPaths(BOX, "10.40.0.10", {});
    await site.pass(4_000);
    expect(done).toBe(true);
  });
});

describe("the box's own registrar, while the cloud is away", () => {
  test("who proves a provisioned secret is fully trusted, within 50 ms and for 45 s", async () => {
    const site = await survivable();
    const phone = await site.phone("101", "10.20.0.101", { password: "secret" });
    const answer = await within(site, 50, phone.register());
    expect(answer.status).toBe(200);
    expect(contactsIn(answer)).toEqual([`<${phone.contact}>;expires=45`]);
    expect(site.parts.store.ofExtension("ext-101")[0]).toMatchObject({ trust: "full" });
    expect(site.pbx.requests).toEqual([]);
  });

  test("unknown users, bad digests and wrong realms get the same challenge", async () => {
    const site = await survivable();
    const known = await site.phone("101", "10.20.0.101", { password: "wrong" });
    const unknown = await site.phone("999", "10.20.0.102", { password: "wrong" });
    const answers = [
      await within(site, 20, known.send(known.registerRequest())),
      await within(site, 20, known.register()),
      await within(site, 20, unknown.send(unknown.registerRequest())),
      await within(site, 20, unknown.register()),
      await within(site, 20, known.send(withRealm(known.registerRequest(), "elsewhere"))),
      await within(site, 20, known.send(withRealm(known.registerRequest(), "pbx.example"))),
    ];
    expect(new Set(answers.map(shape)).size).toBe(1);
    expect(answers[0]?.status).toBe(401);
    expect(site.parts.store.all()).toEqual([]);
  });

  describe("RFC 8760, where every phone has a secret in SHA-256 and in MD5", () => {
    const both = () =>
      siteConfig((site) => {
        for (const extension of site.extensions) {
          extension.ha1_md5 = ha1Of("MD5", extension.username, "pbx.example", "secret");
          extension.ha1_sha256 = ha1Of("SHA-256", extension.username, "pbx.example", "secret");
        }
      });
    const algorithms = (response: SipResponse) =>
      headerValues(response, "WWW-Authenticate").map((value) => /algorithm=([\w-]+)/.exec(value)?.[1]);

    async function offline(): Promise<MemorySite> {
      const site = await memorySite({ config: both() });
      site.setTrunk("down");
      site.setMode("survivable");
      return site;
    }

    test("both are offered, the strongest first, and the answer to it is full proof", async () => {
      const site = await offline();
      const phone = await site.phone("101", "10.20.0.101", { password: "secret" });
      expect(algorithms(await within(site, 20, phone.send(phone.registerRequest())))).toEqual(["SHA-256", "MD5"]);
      expect((await within(site, 20, phone.register())).status).toBe(200);
      expect(site.parts.store.ofExtension("ext-101")[0]).toMatchObject({ trust: "full" });
    });

    test("a phone that knows no choice comes back without an answer, and is asked in MD5 alone", async () => {
      const site = await offline();
      const phone = await site.phone("101", "10.20.0.101", { password: "secret" });
      await within(site, 20, phone.send(phone.registerRequest()));
      expect(algorithms(await within(site, 20, phone.send(phone.registerRequest())))).toEqual(["MD5"]);
      expect((await within(site, 20, phone.register())).status).toBe(200);
      expect(site.parts.store.ofExtension("ext-101")[0]).toMatchObject({ trust: "full", proved_with: "MD5" });
      const other = await site.phone("102", "10.20.0.102", { password: "secret" });
      expect(algorithms(await within(site, 20, other.send(other.registerRequest())))).toEqual(["SHA-256", "MD5"]);
    });

    test("a phone that has answered the cloud in MD5 is asked in MD5 alone at once, after a restart too", async () => {
      const site = await memorySite({ config: both(), challenge: true });
      const phone = await site.phone("101", "10.20.0.101", { password: "secret" });
      await within(site, 20, phone.register());
      await site.restart();
      site.setTrunk("down");
      site.setMode("survivable");
      expect(algorithms(await within(site, 20, phone.send(phone.registerRequest())))).toEqual(["MD5"]);
    });
  });

  test("the secret of one extension does not register another", async () => {
    const site = await survivable();
    const phone = await site.phone("101", "10.20.0.101", { password: "secret" });
    const request = phone.registerRequest();
    setHeader(request, "To", "<sip:102@pbx.example>");
    expect((await within(site, 20, phone.sendProven(request))).status).toBe(401);
    expect(site.parts.store.all()).toEqual([]);
  });

  test("a phone that the cloud accepted lately comes back without a secret, trusted for less", async () => {
    const site = await memorySite();
    const phone = await site.phone("102", "10.20.0.102");
    await within(site, 20, phone.register());
    site.setTrunk("down");
    site.setMode("survivable");
    expect((await within(site, 20, phone.register())).status).toBe(200);
    expect(site.parts.store.ofExtension("ext-102")[0]).toMatchObject({ trust: "learned" });
  });

  test("a second device on another address is not let in on the first one's trust", async () => {
    const site = await memorySite();
    const phone = await site.phone("102", "10.20.0.102");
    const intruder = await site.phone("102", "10.20.0.66");
    await within(site, 20, phone.register());
    site.setTrunk("down");
    site.setMode("survivable");
    expect((await within(site, 20, intruder.register())).status).toBe(401);
    expect((await within(site, 20, intruder.register({ expires: 0, contact: "*" }))).status).toBe(401);
    expect(site.parts.store.ofExtension("ext-102").map(({ contact }) => contact)).toEqual([phone.contact]);
  });

  test("a second device on the same address is not let in either: its instance is another", async () => {
    const site = await memorySite();
    const phone = await site.phone("102", "10.20.0.102");
    const instance = (id: string) => `<${phone.contact}>;+sip.instance="<urn:uuid:${id}>"`;
    await within(site, 20, phone.register({ contact: instance("aaaa") }));
    site.setTrunk("down");
    site.setMode("survivable");
    expect((await within(site, 20, phone.register({ contact: instance("bbbb") }))).status).toBe(401);
    expect((await within(site, 20, phone.register({ contact: instance("aaaa") }))).status).toBe(200);
  });

  test("many failures are an alarm, until ten minutes are quiet", async () => {
    const site = await survivable();
    const phone = await site.phone("999", "10.20.0.102");
    for (let i = 0; i < 20; i++) await within(site, 10, phone.send(phone.registerRequest()));
    expect(site.alarms.active().map(({ code }) => code)).toEqual(["registrar.strangers"]);
    await site.pass(601_000);
    site.parts.strangers.sweep();
    expect(site.alarms.active()).toEqual([]);
  });
});

describe("RFC 3261 §10.3 in the box's own registrar", () => {
  async function registered() {
    const site = await survivable();
    const phone = await site.phone("101", "10.20.0.101", { password: "secret" });
    await within(site, 20, phone.register());
    return { site, phone };
  }

  test("no Contact is a query: the 200 lists all bindings", async () => {
    const { site, phone } = await registered();
    const request = phone.registerRequest();
    request.headers = request.headers.filter(({ name }) => name !== "Contact" && name !== "Expires");
    const answer = await within(site, 20, phone.sendProven(request));
    expect(contactsIn(answer)).toHaveLength(1);
  });

  test("the contact's own expires beats the header, and zero removes", async () => {
    const { site, phone } = await registered();
    const answer = await within(site, 20, phone.register({ contact: `<${phone.contact}>;expires=0`, expires: 3600 }));
    expect(answer.status).toBe(200);
    expect(contactsIn(answer)).toEqual([]);
  });

  test("of two devices one signs off and the other stays; a wildcard with Expires: 0 signs off both", async () => {
    const { site, phone } = await registered();
    const soft = await site.phone("101", "10.20.0.111", { password: "secret" });
    expect(contactsIn(await within(site, 20, soft.register()))).toHaveLength(2);
    expect(contactsIn(await within(site, 20, phone.register({ expires: 0 })))).toEqual([
      `<${soft.contact}>;expires=45`,
    ]);
    expect(site.parts.store.ofExtension("ext-101").map(({ contact }) => contact)).toEqual([soft.contact]);
    await within(site, 20, phone.register());
    const answer = await within(site, 20, soft.register({ contact: "*", expires: 0 }));
    expect([answer.status, contactsIn(answer)]).toEqual([200, []]);
    expect(site.parts.store.all()).toEqual([]);
  });

  test("a malformed expiry counts as an hour, of which we grant 45 s", async () => {
    const { site, phone } = await registered();
    const answer = await within(site, 20, phone.register({ contact: `<${phone.contact}>;expires=soon` }));
    expect(contactsIn(answer)).toEqual([`<${phone.contact}>;expires=45`]);
  });

  test("an expiry below ours is 423 with Min-Expires", async () => {
    const { site, phone } = await registered();
    const answer = await within(site, 20, phone.register({ expires: 5 }));
    expect([answer.status, header(answer, "Min-Expires")]).toEqual([423, "10"]);
  });

  test("a wildcard with another contact, or with an expiry, is 400", async () => {
    const { site, phone } = await registered();
    const both = await within(
      site,
      20,
      phone.send(phone.registerRequest({ contact: `*, <${phone.contact}>`, expires: 0 })),
    );
    const late = await within(site, 20, phone.send(phone.registerRequest({ contact: "*", expires: 60 })));
    expect([both.status, late.status]).toEqual([400, 400]);
    expect(site.parts.store.all()).toHaveLength(1);
  });

  test.each([
    ["an older CSeq of the same Call-ID fails as a whole: nothing of it is done", 1_000],
    ["the same CSeq again in another transaction is none that is higher: nothing of it is done", 1],
  ])("%s", async (_, ahead) => {
    const { site, phone } = await registered();
    const request = phone.registerRequest({ contact: `<${phone.contact}>, <sip:101@10.20.0.101:5070>` });
    const challenged = await within(site, 20, phone.send(request));
    expect(challenged.status).toBe(401);
    // The binding's CSeq moves past the one that comes next.
    const [binding] = site.parts.store.ofExtension("ext-101");
    if (binding === undefined) throw new Error("no binding");
    site.parts.store.put({ ...binding, cseq: (cseqOf(request)?.seq ?? 0) + ahead }, 60_000);
    const answer = await within(site, 20, phone.sendProven(request));
    expect(answer.status).toBe(500);
    expect(site.parts.store.ofExtension("ext-101").map(({ contact }) => contact)).toEqual([phone.contact]);
  });

  test("another Call-ID is accepted: the phone has started anew", async () => {
    const { site, phone } = await registered();
    const request = phone.registerRequest();
    setHeader(request, "Call-ID", "after-reboot");
    expect((await within(site, 20, phone.sendProven(request))).status).toBe(200);
    expect(site.parts.store.ofExtension("ext-101")).toHaveLength(1);
  });

  test("a device that comes back with a new contact replaces its old one, by its instance", async () => {
    const { site, phone } = await registered();
    const contact = (port: number) => `<sip:101@10.20.0.101:${port}>;+sip.instance="<urn:uuid:1>";reg-id=1`;
    await within(site, 20, phone.register({ contact: contact(5071) }));
    await within(site, 20, phone.register({ contact: contact(5072) }));
    expect(site.parts.store.ofExtension("ext-101").map((binding) => binding.contact)).toEqual([
      "sip:101@10.20.0.101:5072",
      phone.contact,
    ]);
  });

  test("ten contacts for one address of record and no more", async () => {
    const { site, phone } = await registered();
    for (let i = 1; i < 10; i++) {
      const answer = await within(site, 20, phone.register({ contact: `<sip:101@10.20.0.101:${6000 + i}>` }));
      expect(answer.status).toBe(200);
    }
    const refused = await within(site, 20, phone.register({ contact: "<sip:101@10.20.0.101:6999>" }));
    expect(refused.status).toBe(403);
    expect(site.parts.store.ofExtension("ext-101")).toHaveLength(10);
  });

  test("a domain that the box does not serve is 404, for users that exist there or not", async () => {
    const { site, phone } = await registered();
    const request = phone.registerRequest();
    setHeader(request, "To", "<sip:101@elsewhere.example>");
    expect((await within(site, 20, phone.send(request))).status).toBe(404);
  });

  test("the PBX's own name and address are its domain too", async () => {
    const { site, phone } = await registered();
    const request = phone.registerRequest();
    setHeader(request, "To", "<sip:101@10.40.0.10>");
    expect((await within(site, 20, phone.sendProven(request))).status).toBe(200);
    expect(site.parts.store.ofExtension("ext-101")).toHaveLength(1);
  });

  test("the 200 has the date, so that a phone without a clock gets one", async () => {
    const { site, phone } = await registered();
    const answer = await within(site, 20, phone.register());
    expect(Date.parse(header(answer, "Date") ?? "")).toBe(Math.floor(site.clock.wall() / 1000) * 1000);
    site.clock.setWall(Date.UTC(1970, 0, 1, 0, 1));
    expect(header(await within(site, 20, phone.register()), "Date")).toBeUndefined();
  });

  test("contacts are listed by their preference, the newest of equal ones first", async () => {
    const { site, phone } = await registered();
    const contact = (port: number, q: string) => `<sip:101@10.20.0.101:${port}>${q}`;
    await within(site, 20, phone.register({ contact: `${contact(5071, ";q=0.3")}, ${contact(5072, ";q=0.7")}` }));
    const answer = await within(site, 20, phone.register({ contact: contact(5073, "") }));
    expect(contactsIn(answer).map((value) => /:(\d+)>/.exec(value)?.[1])).toEqual(["5073", "5060", "5072", "5071"]);
  });

  test("a lower CSeq of a contact that lapsed is no older request: that binding is gone", async () => {
    const { site, phone } = await registered();
    const [binding] = site.parts.store.ofExtension("ext-101");
    if (binding === undefined) throw new Error("no binding");
    site.parts.store.put({ ...binding, cseq: 1_000 }, 1_000);
    await site.pass(2_000);
    expect((await within(site, 20, phone.register())).status).toBe(200);
  });

  test("the CSeq of a device's flow counts, whatever contact it comes with", async () => {
    const { site, phone } = await registered();
    const contact = (port: number) => `<sip:101@10.20.0.101:${port}>;+sip.instance="<urn:uuid:1>";reg-id=1`;
    await within(site, 20, phone.register({ contact: contact(5071) }));
    const [binding] = site.parts.store.ofExtension("ext-101");
    if (binding === undefined) throw new Error("no binding");
    site.parts.store.put({ ...binding, cseq: 1_000 }, 60_000);
    expect((await within(site, 20, phone.register({ contact: contact(5072) }))).status).toBe(500);
    expect(site.parts.store.byContact("sip:101@10.20.0.101:5072")).toBeUndefined();
  });

  test("RFC 5626: who asks for outbound is told that it is done; two flows in one request are 400", async () => {
    const { site, phone } = await registered();
    const contact = (port: number, id: number) =>
      `<sip:101@10.20.0.101:${port}>;+sip.instance="<urn:uuid:1>";reg-id=${id}`;
    const headers = [{ name: "Supported", value: "path, outbound" }];
    const done = await within(site, 20, phone.register({ contact: contact(5071, 1), headers }));
    expect([done.status, header(done, "Require")]).toEqual([200, "outbound"]);
    const silent = await within(site, 20, phone.register({ contact: contact(5072, 2) }));
    expect([silent.status, header(silent, "Require")]).toEqual([200, undefined]);
    expect(site.parts.store.ofExtension("ext-101")).toHaveLength(3);
    const both = await within(
      site,
      20,
      phone.register({ contact: `${contact(5073, 3)}, ${contact(5074, 4)}`, headers }),
    );
    expect(both.status).toBe(400);
  });

  test("RFC 5626: behind a proxy that does not know outbound, a phone that asks for it is told so by 439", async () => {
    const { site, phone } = await registered();
    const contact = `<sip:101@10.20.0.101:5071>;+sip.instance="<urn:uuid:1>";reg-id=1`;
    const through = (path: string) => [
      { name: "Supported", value: "path, outbound" },
      { name: "Via", value: "SIP/2.0/UDP 10.20.0.77;branch=z9hG4bKx" },
      { name: "Path", value: path },
    ];
    const without = phone.registerRequest({ contact, headers: through("<sip:10.20.0.77;lr>") });
    expect((await within(site, 20, phone.send(without))).status).toBe(439);
    const knowing = phone.registerRequest({ contact, headers: through("<sip:10.20.0.77;lr;ob>") });
    expect((await within(site, 20, phone.sendProven(knowing))).status).toBe(200);
  });

  test("RFC 5627: the box makes no GRUU, and says so to who requires one", async () => {
    const { site, phone } = await registered();
    const contact = `<${phone.contact}>;+sip.instance="<urn:uuid:1>"`;
    const headers = [{ name: "Supported", value: "gruu" }];
    const answer = await within(site, 20, phone.register({ contact, headers }));
    expect(contactsIn(answer).join()).not.toContain("gruu");
    const required = phone.registerRequest({ contact, headers: [{ name: "Require", value: "gruu" }] });
    expect((await within(site, 20, phone.send(required))).status).toBe(420);
  });

  test("an extension that we would have to know is 420", async () => {
    const { site, phone } = await registered();
    const answer = await within(
      site,
      20,
      phone.send(phone.registerRequest({ headers: [{ name: "Require", value: "path, telepathy" }] })),
    );
    expect([answer.status, headerValues(answer, "Unsupported")]).toEqual([420, ["telepathy"]]);
  });

  test("a lapsed binding is no contact any more, but its trust is remembered", async () => {
    const { site } = await registered();
    await site.pass(61_000);
    site.parts.store.sweep();
    expect(site.parts.store.all()).toEqual([]);
    expect(site.changes.at(-1)).toMatchObject({ kind: "removed", reason: "expired" });
    expect(site.parts.store.remembered()).toHaveLength(1);
  });

  test("setting the wall clock unregisters nobody", async () => {
    const { site } = await registered();
    site.clock.setWall(site.clock.wall() + 86_400_000);
    site.parts.store.sweep();
    expect(site.parts.store.all()).toHaveLength(1);
  });
});
