import { describe, expect, test } from "vitest";
import { ha1Of } from "../../sip/auth/digest.ts";
import { buildResponse } from "../../sip/messages/build.ts";
import { header, setHeader } from "../../sip/messages/headers.ts";
import { sdpOf } from "../../sip/messages/sdp.ts";
import { type MemoryPhone, sdp } from "../testing/memory-phone.ts";
import { memorySite, siteConfig } from "../testing/memory-site.ts";
import { endpoints, fail, offline, ringing, talking, within } from "../testing/scene.ts";

describe("a call within the LAN while the cloud is away", () => {
  test("goes from phone to phone, its sound directly", async () => {
    const made = await offline();
    const { ok } = await talking(made);
    expect(sdpOf(ok)).toBe(sdp(made.bob.address, 40_000));
    expect(endpoints(made.site)).toEqual([]);
    expect(made.bob.acks).toHaveLength(1);
  });

  test("is hung up by either, after a restart of the engine too", async () => {
    const made = await offline();
    const { callee } = await talking(made);
    await made.site.restart();
    const bye = await within(made.site, 20, made.bob.send(made.bob.inDialog(callee, "BYE")));
    expect(bye.status).toBe(200);
    expect(made.alice.received.at(-1)).toMatchObject({ method: "BYE" });
  });

  test("rings all contacts of an extension; the first to answer has it, the others stop", async () => {
    const { site, alice, bob } = await offline();
    const soft = await site.phone("102", "10.20.0.112");
    site.parts.store.put(
      {
        ...(site.parts.store.ofExtension("ext-102")[0] ?? fail()),
        contact: soft.contact,
        source_address: soft.address,
        flow_token: "other",
      },
      60_000,
    );
    const answer = alice.send(alice.inviteRequest("102"));
    await site.pass(20);
    const cancelled: string[] = [];
    ringing(soft).onCancel(() => {
      cancelled.push("soft");
      soft.respond(ringing(soft), 487);
    });
    soft.respond(ringing(soft), 180);
    bob.respond(ringing(bob), 180);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
    await site.pass(40);
    expect((await answer).status).toBe(200);
    expect(cancelled).toEqual(["soft"]);
  });

  test("why it was cancelled is told to the phone that rings; so is that somebody else took the call", async () => {
    const { site, alice, bob } = await offline();
    const soft = await site.phone("102", "10.20.0.112");
    const [desk] = site.parts.store.ofExtension("ext-102");
    const beside = { contact: soft.contact, source_address: soft.address, flow_token: "other" };
    site.parts.store.put({ ...(desk ?? fail()), ...beside }, 60_000);
    const reasons: (string | undefined)[] = [];
    const rings = async (phone: MemoryPhone) => {
      const tx = ringing(phone);
      tx.onCancel((cancel) => {
        reasons.push(header(cancel, "Reason"));
        phone.respond(tx, 487);
      });
      phone.respond(tx, 180);
      await site.pass(20);
    };
    const given = 'Q.850;cause=102;text="Timer, expired"';
    const first = alice.start(alice.inviteRequest("102"));
    await site.pass(20);
    await rings(bob);
    await rings(soft);
    first.transaction.cancel([{ name: "Reason", value: given }]);
    await within(site, 40, first.answer);
    expect(reasons).toEqual([given, given]);
    const second = alice.send(alice.inviteRequest("102"));
    await site.pass(20);
    await rings(soft);
    bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
    await within(site, 40, second);
    expect(reasons.at(-1)).toContain("Call completed elsewhere");
  });

  test("what a phone asserts about itself reaches no other phone; the cloud would have known better", async () => {
    const { site, alice, bob } = await offline();
    const invite = alice.inviteRequest("102");
    const asserted = ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"];
    for (const name of asserted) setHeader(invite, name, '"The director" <sip:100@pbx.example>');
    setHeader(invite, "Privacy", "none");
    const answer = alice.send(invite);
    await site.pass(20);
    const rung = ringing(bob).request;
    expect(asserted.map((name) => header(rung, name))).toEqual([undefined, undefined, undefined]);
    expect(header(rung, "Privacy")).toBe("none");
    const headers = asserted.map((name) => ({ name, value: "<sip:100@pbx.example>" }));
    ringing(bob).respond(buildResponse(rung, 200, { toTag: "b", headers }));
    const ok = await within(site, 20, answer);
    expect(asserted.map((name) => header(ok, name))).toEqual([undefined, undefined, undefined]);
  });

  test("the best answer of all contacts goes back when none takes the call", async () => {
    const { site, alice, bob } = await offline();
    const answer = alice.send(alice.inviteRequest("102"));
    await site.pass(20);
    bob.respond(ringing(bob), 486);
    expect((await within(site, 20, answer)).status).toBe(486);
  });

  test("a number that is not here is 404, but only for those who are known", async () => {
    const { site, alice } = await offline();
    const stranger = await site.phone("777", "10.20.0.77");
    expect((await within(site, 20, alice.send(alice.inviteRequest("150")))).status).toBe(404);
    expect((await within(site, 20, stranger.send(stranger.inviteRequest("150")))).status).toBe(407);
    expect((await within(site, 20, stranger.send(stranger.inviteRequest("102")))).status).toBe(407);
  });

  test("a stranger's other requests reach no phone, and do not tell which extensions there are", async () => {
    const { site, bob } = await offline();
    const before = bob.received.length;
    const stranger = await site.phone("777", "10.20.0.77");
    const answers = new Map<string, Set<string>>();
    for (const method of ["MESSAGE", "SUBSCRIBE", "REFER", "OPTIONS", "PUBLISH"]) {
      for (const uri of ["sip:102@10.20.0.5", "sip:150@10.20.0.5", "sip:102@pbx.example", "sip:150@pbx.example"]) {
        const request = { ...stranger.inviteRequest(uri, ""), method };
        setHeader(request, "CSeq", `1 ${method}`);
        const { status, headers } = await within(site, 20, stranger.send(request));
        const names = headers.map(({ name }) => name).join(" ");
        const host = uri.split("@")[1] ?? "";
        const seen = answers.get(`${method} ${host}`) ?? new Set();
        answers.set(`${method} ${host}`, seen.add(`${status} ${names}`));
      }
    }
    expect([...answers].filter(([, seen]) => seen.size !== 1)).toEqual([]);
    expect([...(answers.get("MESSAGE 10.20.0.5") ?? [])][0]).toMatch(/^407 /);
    const inside = stranger.inviteRequest(bob.contact);
    setHeader(inside, "To", `<${bob.contact}>;tag=made-up`);
    expect((await within(site, 20, stranger.send(inside))).status).toBe(503);
    expect(bob.received).toHaveLength(before);
  });

  test("a message of a phone that is known still passes", async () => {
    const { site, alice, bob } = await offline();
    const request = { ...alice.inviteRequest("102", ""), method: "MESSAGE" };
    setHeader(request, "CSeq", "1 MESSAGE");
    expect((await within(site, 20, alice.send(request))).status).toBe(200);
    expect(bob.received.some((message) => message.kind === "request" && message.method === "MESSAGE")).toBe(true);
  });

  test("whom nobody knows is challenged, and has the call once the secret is proven", async () => {
    const site = await memorySite({
      config: siteConfig((config) => {
        const [first] = config.extensions;
        if (first !== undefined) first.ha1_md5 = ha1Of("MD5", "101", "pbx.example", "secret");
      }),
    });
    const bob = await site.phone("102", "10.20.0.102");
    await within(site, 20, bob.register());
    site.setTrunk("down");
    site.setMode("survivable");
    const alice = await site.phone("101", "10.20.0.177", { password: "secret" });
    const mallory = await site.phone("101", "10.20.0.178", { password: "guessed" });
    const asked = await within(site, 20, alice.send(alice.inviteRequest("102")));
    expect([asked.status, header(asked, "Proxy-Authenticate")]).toEqual([407, expect.stringMatching(/^Digest realm=/)]);
    expect((await within(site, 20, mallory.sendProven(mallory.inviteRequest("102")))).status).toBe(407);
    expect(bob.pending).toHaveLength(0);
    void alice.sendProven(alice.inviteRequest("102"));
    await site.pass(20);
    expect(bob.pending).toHaveLength(1);
  });
});
