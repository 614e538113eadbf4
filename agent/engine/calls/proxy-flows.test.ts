/** Ways to a phone: its own connection, one that is gone (it came up anew, and the cloud knows the one of before), a dialog of NOTIFY. */
import { expect, test } from "vitest";
import { headerList, prependHeader, removeFirst } from "../../sip/messages/headers.ts";
import { OwnTokens } from "../own-tokens.ts";
import { sdp } from "../testing/memory-phone.ts";
import { BOX, TOKEN_KEY } from "../testing/memory-site.ts";
import { endpoints, fail, ringing, type Scene, scene, talking, within } from "../testing/scene.ts";

/** The Path of Bob's telephone, as if it had registered over TCP. */
function pathBefore({ site, bob }: Scene): string {
  const [path] = site.pbx.contacts.get("102")?.[0]?.path ?? [];
  const before = new OwnTokens(TOKEN_KEY).ofPhone(
    {
      protocol: "tcp",
      local: { address: BOX, port: 5060 },
      remote: { address: bob.address, port: 49_152 },
    },
    "before",
  );
  return path?.replace(/sip:[^@]+@/, `sip:${before}@`) ?? fail();
}

test("a call for it is refused with 430 (RFC 5626 §5.3.1); a 503 would be one about the whole box", async () => {
  const made = await scene();
  const { site, alice } = made;
  const path = pathBefore(made);
  const known = site.pbx.contacts.get("102") ?? fail();
  const before = known.map((contact) => ({ ...contact, uri: "sip:102-before@10.20.0.102", path: [path] }));
  site.pbx.contacts.set("102", before);
  const answer = await within(site, 100, alice.send(alice.inviteRequest("102")));
  expect(answer.status).toBe(430);
  expect(endpoints(site)).toEqual([]);
});

test("laid over the Route of a dialog, whose own connection lives: the request goes by that one", async () => {
  const made = await scene();
  const { site, alice, bob } = made;
  const { caller } = await talking(made);
  const path = pathBefore(made);
  site.pbx.intercept = (tx) => {
    if (tx.request.method === "INVITE" && headerList(tx.request, "Via").length === 2) {
      const own = removeFirst(tx.request, "Route");
      prependHeader(tx.request, "Route", path);
      tx.request.uri = "sip:102-before@10.20.0.102";
      prependHeader(tx.request, "Route", own ?? fail());
    }
    return false;
  };
  const again = alice.send(alice.inDialog(caller, "INVITE", sdp(alice.address, 30_100)));
  await site.pass(20);
  expect(bob.pending).toHaveLength(2);
  bob.respond(ringing(bob), 200, sdp(bob.address, 40_000));
  expect((await within(site, 20, again)).status).toBe(200);
});

test("a NOTIFY is recorded in its dialog too, for it may be the first that its subscriber hears (RFC 6665 §4.3)", async () => {
  const made = await scene();
  const { site, alice, bob } = made;
  const { callee } = await talking(made);
  expect((await within(site, 20, bob.send(bob.inDialog(callee, "NOTIFY")))).status).toBe(200);
  const arrived = alice.received.filter((each) => each.kind === "request").at(-1) ?? fail();
  const own = headerList(arrived, "Record-Route").filter((element) => element.includes(BOX));
  expect(own.length).toBeGreaterThanOrEqual(2);
});
