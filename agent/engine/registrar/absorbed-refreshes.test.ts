import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildResponse } from "../../sip/messages/build.ts";
import { header, headerList, headerValues, setHeader } from "../../sip/messages/headers.ts";
import type { SipRequest, SipResponse } from "../../sip/messages/message.ts";
import type { MemoryPhone } from "../testing/memory-phone.ts";
import { type MemorySite, memorySite, siteConfig } from "../testing/memory-site.ts";
import { ModelRegistrar } from "../testing/model-registrar.ts";

const LAN_S = 60;
const GRANTED_S = 600;

async function absorbing(user = "101"): Promise<{ readonly site: MemorySite; readonly phone: MemoryPhone }> {
  const config = siteConfig((changed) => {
    changed.registrar.lan_expires_s = LAN_S;
  });
  const site = await memorySite({ config });
  site.pbx.granted_s = GRANTED_S;
  const phone = await site.phone(user, "10.20.0.101");
  await within(site, phone.register());
  return { site, phone };
}

async function within<T>(site: MemorySite, promise: Promise<T>): Promise<T> {
  await site.pass(20);
  return promise;
}

const upstream = (site: MemorySite) => site.pbx.received("REGISTER").length;
const contactsIn = (response: SipResponse) => headerList(response, "Contact");

describe("refreshes that stay in the house", () => {
  test("nothing is absorbed where the site file does not say so", async () => {
    const site = await memorySite();
    const phone = await site.phone("101", "10.20.0.101");
    await within(site, phone.register());
    await within(site, phone.register());
    expect(upstream(site)).toBe(2);
  });

  test("the phone hears the short expiry, the cloud sees it again at half of its own", async () => {
    const { site, phone } = await absorbing();
    let answer = await within(site, phone.register());
    expect(contactsIn(answer)).toEqual([`<${phone.contact}>;expires=${LAN_S}`]);
    expect(upstream(site)).toBe(1);
    for (let passed_s = 0; passed_s < GRANTED_S; passed_s += 50) {
      site.clock.advance(50_000);
      answer = await within(site, phone.register());
      expect(answer.status).toBe(200);
      expect(site.parts.store.ofExtension("ext-101")).toHaveLength(1);
    }
    expect(upstream(site)).toBe(3);
    expect(site.parts.counters.all().registers_absorbed).toBe(11);
  });

  test("an absorbed refresh prolongs nothing: a phone that falls silent lapses when the cloud says so", async () => {
    const { site, phone } = await absorbing();
    site.clock.advance(100_000);
    await within(site, phone.register());
    site.clock.advance((GRANTED_S - 101) * 1000);
    expect(site.parts.store.all()).toHaveLength(1);
    site.clock.advance(1_500);
    expect(site.parts.store.all()).toEqual([]);
  });

  test("the answer is the cloud's last one: its routes, its names, other contacts with what is left of theirs", async () => {
    const { site, phone } = await absorbing();
    site.pbx.foreign = ["<sip:101@198.51.100.7>;expires=100", "<sip:101@198.51.100.8>;expires=900"];
    site.pbx.intercept = () => false;
    site.clock.advance(400_000);
    const real = site.pbx;
    await within(site, phone.register());
    expect(upstream(site)).toBe(2);
    real.foreign = [];
    site.clock.advance(150_000);
    const answer = await within(site, phone.register());
    expect(upstream(site)).toBe(2);
    expect(contactsIn(answer)).toEqual(["<sip:101@198.51.100.8>;expires=749", `<${phone.contact}>;expires=${LAN_S}`]);
    expect(header(answer, "CSeq")).toMatch(/ REGISTER$/);
    expect(headerValues(answer, "Via")).toHaveLength(1);
  });

  test("another device of the number that leaves is not listed any more: the next refresh asks the cloud", async () => {
    const { site, phone } = await absorbing();
    const other = await site.phone("101", "10.20.0.111");
    await within(site, other.register());
    await within(site, phone.register());
    await within(site, other.register({ expires: 0 }));
    const answer = await within(site, phone.register());
    expect(contactsIn(answer)).toEqual([`<${phone.contact}>;expires=${LAN_S}`]);
    expect(upstream(site)).toBe(5);
  });

  const others: readonly [string, (request: SipRequest, phone: MemoryPhone) => void][] = [
    ["another Call-ID", (request) => setHeader(request, "Call-ID", "other")],
    ["a CSeq that does not rise", (request) => setHeader(request, "CSeq", "1 REGISTER")],
    ["another contact", (request) => setHeader(request, "Contact", "<sip:101@10.20.0.101:5099>")],
    [
      "the same contact with other parameters",
      (request, { contact }) => setHeader(request, "Contact", `<${contact}>;q=0.5`),
    ],
    [
      "an instance",
      (request, { contact }) => setHeader(request, "Contact", `<${contact}>;+sip.instance="<urn:uuid:2>"`),
    ],
    [
      "a second contact",
      (request, { contact }) => setHeader(request, "Contact", `<${contact}>, <sip:101@10.20.0.101:5099>`),
    ],
    ["a de-registration", (request) => setHeader(request, "Expires", "0")],
    [
      "a wildcard",
      (request) => {
        setHeader(request, "Contact", "*");
        setHeader(request, "Expires", "0");
      },
    ],
    [
      "a query",
      (request) => {
        request.headers = request.headers.filter(({ name }) => name !== "Contact");
      },
    ],
    ["an extension that is required", (request) => request.headers.push({ name: "Require", value: "path" })],
    ["somebody else's hand", (request) => setHeader(request, "From", "<sip:boss@pbx.example>;tag=x")],
  ];
  for (const [what, change] of others) {
    test(`${what} goes to the cloud`, async () => {
      const { site, phone } = await absorbing();
      const request = phone.registerRequest();
      change(request, phone);
      await within(site, phone.send(request));
      expect(upstream(site)).toBe(2);
    });
  }

  test("a second device is not let in by the first one's refreshes, with its Call-ID, Contact and CSeq either", async () => {
    const { site, phone } = await absorbing();
    site.pbx.intercept = (tx) => {
      tx.respond(buildResponse(tx.request, 403));
      return true;
    };
    const intruder = await site.phone("101", "10.20.0.66");
    const request = phone.registerRequest();
    expect((await within(site, intruder.send(request))).status).toBe(403);
    expect(site.parts.store.ofExtension("ext-101")[0]?.source_address).toBe(phone.address);
  });

  test("after a restart the first refresh goes to the cloud: nothing is known of what it granted", async () => {
    const { site, phone } = await absorbing();
    await site.restart();
    await within(site, phone.register());
    expect(upstream(site)).toBe(2);
    await within(site, phone.register());
    expect(upstream(site)).toBe(2);
  });

  test("what the box granted while the cloud was away goes to it as soon as it is back", async () => {
    const { site, phone } = await absorbing("102");
    site.setMode("survivable");
    expect((await within(site, phone.register())).status).toBe(200);
    site.setMode("normal");
    expect(site.parts.store.ofExtension("ext-102")[0]?.held_since_wall).toBe(site.clock.wall() - 20);
    await within(site, phone.register());
    expect(upstream(site)).toBe(2);
    expect(site.parts.store.ofExtension("ext-102")[0]?.held_since_wall).toBeUndefined();
  });
});

const step = fc.record({
  phone: fc.nat(2),
  what: fc.constantFrom(
    "refresh",
    "refresh",
    "refresh",
    "refresh",
    "leave",
    "everything leaves",
    "ask",
    "restart",
    "second contact",
  ),
  expires_s: fc.constantFrom(30, 60, 90, 600, 3600),
  /** Before it. */
  pass_s: fc.constantFrom(0, 1, 20, 55, 130, 400),
  cloud: fc.constantFrom("answers", "answers", "answers", "answers", "refuses", "grants little"),
});

test("whatever is absorbed, the cloud's view and ours never part", async () => {
  let everAbsorbed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      const config = siteConfig((changed) => {
        changed.registrar.lan_expires_s = LAN_S;
      });
      const site = await memorySite({ config });
      const cloud = new ModelRegistrar(site.clock);
      let refuses = false;
      site.pbx.intercept = (tx) => {
        tx.respond(refuses ? buildResponse(tx.request, 403) : cloud.answer(tx.request));
        return true;
      };
      // Two devices of one extension, and another one's.
      const phones = [
        await site.phone("101", "10.20.0.101"),
        await site.phone("101", "10.20.0.111"),
        await site.phone("102", "10.20.0.102"),
      ];
      const boots = [0, 0, 0];
      for (const { phone: n, what, expires_s, pass_s, cloud: mood } of steps) {
        const phone = phones[n];
        if (phone === undefined) throw new Error("no such phone");
        site.clock.advance(pass_s * 1000);
        site.parts.store.sweep();
        refuses = mood === "refuses";
        cloud.granted_s = mood === "grants little" ? 90 : 600;
        if (what === "restart") boots[n] = (boots[n] ?? 0) + 1;
        const request = phone.registerRequest({
          expires: what === "leave" || what === "everything leaves" ? 0 : expires_s,
          ...(what === "everything leaves" ? { contact: "*" } : {}),
          ...(what === "second contact" ? { contact: `<sip:${phone.user}@${phone.address}:5099>` } : {}),
        });
        if (what === "ask") request.headers = request.headers.filter(({ name }) => name !== "Contact");
        setHeader(request, "Call-ID", `reg-${phone.address}-${boots[n]}`);
        const before = cloud.seen;
        const answer = await within(site, phone.send(request));
        const absorbed = cloud.seen === before && !refuses;
        if (absorbed) everAbsorbed++;
        if (absorbed) expect(what === "refresh" || what === "restart" || what === "second contact").toBe(true);
        for (const user of ["101", "102"]) {
          const ours = site.parts.store.ofExtension(`ext-${user}`);
          const theirs = cloud.live(user);
          expect(ours.map(({ contact }) => contact).sort()).toEqual(theirs.map(({ uri }) => uri).sort());
          for (const { uri, left_ms } of theirs) {
            const left = site.parts.store.left_ms({ aor: `sip:${user}@pbx.example`, contact: uri });
            expect(Math.abs(left - left_ms)).toBeLessThan(100);
          }
        }
        // What a phone is told ends before the cloud's own expiry does.
        if (answer.status === 200) {
          for (const value of contactsIn(answer)) {
            const told_s = Number(/;expires=(\d+)/.exec(value)?.[1]);
            const left_ms = cloud.live(phone.user).find(({ uri }) => value.includes(`<${uri}>`))?.left_ms ?? 0;
            expect(told_s * 1000).toBeLessThanOrEqual(left_ms + 100);
            if (absorbed && value.includes(request.headers.find(({ name }) => name === "Contact")?.value ?? "")) {
              expect(left_ms - told_s * 1000).toBeGreaterThanOrEqual(0);
            }
          }
        }
      }
    }),
    {
      numRuns: 100,
      examples: [
        [
          [
            { phone: 1, what: "refresh", expires_s: 30, pass_s: 0, cloud: "answers" },
            { phone: 0, what: "refresh", expires_s: 3600, pass_s: 0, cloud: "answers" },
            { phone: 1, what: "leave", expires_s: 30, pass_s: 0, cloud: "answers" },
            { phone: 0, what: "refresh", expires_s: 30, pass_s: 0, cloud: "answers" },
          ],
        ],
        [
          [
            { phone: 1, what: "refresh", expires_s: 3600, pass_s: 0, cloud: "answers" },
            { phone: 0, what: "refresh", expires_s: 3600, pass_s: 0, cloud: "answers" },
            { phone: 1, what: "refresh", expires_s: 30, pass_s: 0, cloud: "answers" },
            { phone: 0, what: "refresh", expires_s: 30, pass_s: 0, cloud: "answers" },
          ],
        ],
      ],
    },
  );
  expect(everAbsorbed).toBeGreaterThan(0);
});
