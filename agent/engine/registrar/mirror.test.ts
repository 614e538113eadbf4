import { describe, expect, test } from "vitest";
import { buildResponse } from "../../sip/messages/build.ts";
import { setHeader } from "../../sip/messages/headers.ts";
import type { SipRequest } from "../../sip/messages/message.ts";
import type { MemoryPhone } from "../testing/memory-phone.ts";
import { type MemorySite, memorySite, siteConfig } from "../testing/memory-site.ts";

const AOR = "sip:102@pbx.example";

async function within<T>(site: MemorySite, ms: number, promise: Promise<T>): Promise<T> {
  await site.pass(ms);
  return promise;
}

/** A phone that has been started anew: another port, another Call-ID. */
function anew(phone: MemoryPhone, port: number): SipRequest {
  const request = phone.registerRequest({ contact: `<sip:102@${phone.address}:${port}>` });
  setHeader(request, "Call-ID", `started-${port}`);
  return request;
}

const contactsOf102 = (site: MemorySite) => site.parts.store.ofExtension("ext-102").map(({ contact }) => contact);

describe("a telephone without an instance that comes with another contact each time", () => {
  async function startedOften(times: number) {
    const site = await memorySite();
    const phone = await site.phone("102", "10.20.0.101");
    for (let i = 0; i < times; i++) {
      // A registrar of one contact a number, as many are: its 200 lists the newest alone.
      site.pbx.contacts.set("102", []);
      await within(site, 20, phone.send(anew(phone, 6000 + i)));
    }
    return { site, phone };
  }

  test("is kept as it came last, however many of its contacts have not lapsed yet", async () => {
    const { site } = await startedOften(14);
    expect(contactsOf102(site)).toHaveLength(10);
    expect(contactsOf102(site)[0]).toBe("sip:102@10.20.0.101:6013");
  });

  test("is taken in by the box alone, too: what it left behind makes room", async () => {
    const { site, phone } = await startedOften(10);
    site.setTrunk("down");
    site.setMode("survivable");
    expect((await within(site, 20, phone.send(anew(phone, 7000)))).status).toBe(200);
    expect(contactsOf102(site)).toContain("sip:102@10.20.0.101:7000");
    expect(contactsOf102(site)).not.toContain("sip:102@10.20.0.101:6000");
  });

  test("takes nobody else's place: other devices of the number stay", async () => {
    const { site, phone } = await startedOften(9);
    const desk = await site.phone("102", "10.20.0.111");
    await within(site, 20, desk.register());
    site.setTrunk("down");
    site.setMode("survivable");
    for (const port of [7000, 7001]) await within(site, 20, phone.send(anew(phone, port)));
    expect(contactsOf102(site)).toContain(desk.contact);
  });
});

describe("answers that cross", () => {
  /** The cloud keeps its answer to the first REGISTER back until it is called. */
  async function lateAnswer() {
    const site = await memorySite();
    const phone = await site.phone("102", "10.20.0.101");
    // The box alone takes in whom the cloud accepted before.
    await within(site, 20, phone.register());
    let answer = () => {};
    site.pbx.intercept = (tx) => {
      const headers = [{ name: "Contact", value: `<${phone.contact}>;expires=60` }];
      answer = () => tx.respond(buildResponse(tx.request, 200, { headers }));
      return true;
    };
    void phone.send(phone.registerRequest());
    await site.pass(20);
    site.pbx.intercept = () => false;
    return { site, phone, late: () => answer() };
  }

  test("a late 200 does not bring back a phone that has signed off since", async () => {
    const { site, phone, late } = await lateAnswer();
    await within(site, 20, phone.register({ expires: 0 }));
    late();
    await site.pass(20);
    expect(site.parts.store.all()).toEqual([]);
  });

  test("nor one that has signed off at the box alone, which the cloud left waiting", async () => {
    const { site, phone, late } = await lateAnswer();
    site.setTrunk("down");
    site.setMode("survivable");
    await within(site, 20, phone.register({ expires: 0 }));
    late();
    await site.pass(20);
    expect(site.parts.store.all()).toEqual([]);
  });

  test("a late 200 does not undo a later refresh", async () => {
    const { site, phone, late } = await lateAnswer();
    await within(site, 20, phone.register());
    const [before] = site.parts.store.all();
    late();
    await site.pass(20);
    expect(site.parts.store.all()).toEqual([before]);
    expect(site.parts.store.left_ms({ aor: AOR, contact: phone.contact })).toBeGreaterThan(500_000);
  });
});

describe("a PBX that knows no Path", () => {
  const config = () =>
    siteConfig((site) => {
      const [pbx] = site.pbx_targets;
      if (pbx !== undefined) pbx.path_header = false;
    });

  test("another device that it lists by a contact of the box's is not elsewhere", async () => {
    const site = await memorySite({ config: config() });
    site.pbx.foreign = ["<sip:102@198.51.100.7>;expires=100"];
    for (const address of ["10.20.0.101", "10.20.0.111"]) {
      const phone = await site.phone("102", address);
      await within(site, 20, phone.register());
    }
    expect(site.parts.registrar.elsewhere(AOR)).toBe(1);
  });

  test("a second contact of an instance stays while it lists it, as the box wrote it", async () => {
    const site = await memorySite({ config: config() });
    const phone = await site.phone("102", "10.20.0.101");
    for (const port of [5071, 5072]) {
      const request = anew(phone, port);
      setHeader(request, "Contact", `<sip:102@10.20.0.101:${port}>;+sip.instance="<urn:uuid:1>"`);
      await within(site, 20, phone.send(request));
    }
    expect(contactsOf102(site)).toHaveLength(2);
  });
});

test("a 200 that lists nobody, but names a time, has accepted for that time", async () => {
  const site = await memorySite();
  site.pbx.intercept = (tx) => {
    tx.respond(buildResponse(tx.request, 200, { headers: [{ name: "Expires", value: "90" }] }));
    return true;
  };
  const phone = await site.phone("102", "10.20.0.101");
  await within(site, 20, phone.register());
  expect(contactsOf102(site)).toEqual([phone.contact]);
  await site.pass(91_000);
  expect(site.parts.store.all()).toEqual([]);
});
