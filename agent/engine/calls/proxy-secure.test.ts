import { expect, test } from "vitest";
import { header, setHeader } from "../../sip/messages/headers.ts";
import { memorySite, siteConfig } from "../testing/memory-site.ts";
import { recordRouteUri } from "./proxy-secure.ts";

async function scene() {
  const site = await memorySite({ config: siteConfig() });
  const alice = await site.phone("101", "10.20.0.101");
  void alice.register();
  await site.pass(20);
  return { site, alice };
}

test("a call to a sips URI is not sent on in the clear: 480 with warning 380 (RFC 5630 §5.3)", async () => {
  const { site, alice } = await scene();
  const invite = alice.inviteRequest("102");
  invite.uri = invite.uri.replace(/^sip:/, "sips:");
  setHeader(invite, "To", `<${invite.uri}>`);
  const answer = alice.send(invite);
  await site.pass(50);
  const final = await answer;
  expect([final.status, header(final, "Warning")]).toEqual([480, '380 holdfast "SIPS Not Allowed"']);
});

test("in a request to a sips URI our Record-Route is sips on a side that is TLS (RFC 3261 §16.6)", async () => {
  const { alice } = await scene();
  const request = alice.inviteRequest("102");
  const own = "sip:token@10.20.0.1:5061;transport=tls";
  expect(recordRouteUri(own, request, { protocol: "tls" })).toBe(own);
  request.uri = request.uri.replace(/^sip:/, "sips:");
  expect(recordRouteUri(own, request, { protocol: "tls" })).toBe("sips:token@10.20.0.1:5061");
  expect(recordRouteUri("sip:token@10.20.0.1:5060", request, { protocol: "udp" })).toBe("sip:token@10.20.0.1:5060");
});
