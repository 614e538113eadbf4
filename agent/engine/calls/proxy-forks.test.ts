import { describe, expect, test } from "vitest";
import { buildResponse } from "../../sip/messages/build.ts";
import { headerList } from "../../sip/messages/headers.ts";
import type { SipResponse } from "../../sip/messages/message.ts";
import { tagOf } from "../../sip/messages/name-addr.ts";
import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import { sdp } from "../testing/memory-phone.ts";
import { endpoints, fail, scene, within } from "../testing/scene.ts";

describe("a call that the PBX forks", () => {
  /** The PBX sends 102's calls to two outside phones; what each of them answers comes from their own addresses. */
  async function forked() {
    const made = await scene();
    const { site, alice } = made;
    const invite = alice.inviteRequest("102");
    let tx: ServerTransaction | undefined;
    site.pbx.intercept = (each) => {
      if (each.request.method !== "INVITE") return false;
      tx = each;
      return true;
    };
    const early: SipResponse[] = [];
    const answer = alice.send(invite, (response) => void early.push(response));
    await site.pass(20);
    const says = async (status: number, fork: "x" | "y", described = true) => {
      const body = described ? { body: sdp(`198.51.100.${fork === "x" ? 7 : 8}`, 40_000) } : {};
      const response = buildResponse(tx?.request ?? fail(), status, {
        toTag: fork,
        headers: [{ name: "Contact", value: `<sip:${fork}@198.51.100.1>` }],
        ...body,
        ...(described ? { contentType: "application/sdp" } : {}),
      });
      for (const each of headerList(tx?.request ?? fail(), "Record-Route")) {
        response.headers.push({ name: "Record-Route", value: each });
      }
      tx?.respond(response);
      await site.pass(20);
    };
    const heard = () => endpoints(site).find(({ peer }) => peer?.address.startsWith("198.51.100."))?.peer?.address;
    const answers = () =>
      alice.received.filter((each): each is SipResponse => each.kind === "response" && each.status === 200);
    return { ...made, invite, early, answer, says, heard, answers };
  }

  test("two 18x keep their tags; the one that spoke last is heard, and the one that answers remains", async () => {
    const { early, says, heard } = await forked();
    await says(183, "x");
    expect(heard()).toBe("198.51.100.7");
    await says(183, "y");
    expect(heard()).toBe("198.51.100.8");
    expect(early.filter(({ status }) => status === 183).map((each) => tagOf(each, "To"))).toEqual(["x", "y"]);
    // Its description came in the 183, reliably: the 200 needs none (RFC 3262 §5).
    await says(200, "x", false);
    expect(heard()).toBe("198.51.100.7");
  });

  test("both answer: each gets its ACK and its BYE, and who is left stays heard", async () => {
    const { site, alice, invite, says, heard, answers } = await forked();
    await says(200, "x");
    await says(200, "y");
    expect(heard()).toBe("198.51.100.7");
    const [first, second] = answers().slice(-2);
    expect([first, second].map((each) => tagOf(each ?? fail(), "To"))).toEqual(["x", "y"]);
    for (const ok of [first, second]) alice.ack(invite, ok ?? fail());
    site.pbx.intercept = (tx) => {
      tx.respond(buildResponse(tx.request, 200));
      return true;
    };
    const bye = (ok: SipResponse | undefined) =>
      alice.send(alice.inDialog(alice.dialogOf(invite, ok ?? fail()), "BYE"));
    expect(site.parts.dialogs.size).toBe(1);
    expect((await within(site, 20, bye(first))).status).toBe(200);
    expect(heard()).toBe("198.51.100.8");
    // The dialog that could have been moved to another path is gone.
    expect(site.parts.dialogs.size).toBe(0);
    expect(site.watched).toEqual(["started", "answered"]);
    expect((await within(site, 20, bye(second))).status).toBe(200);
    expect(endpoints(site)).toEqual([]);
    expect(site.watched).toEqual(["started", "answered", "ended"]);
    const acks = site.pbx.requests.filter(({ method }) => method === "ACK");
    expect(acks.map((ack) => tagOf(ack, "To"))).toEqual(["x", "y"]);
  });
});
