/** A trunk behind carrier-grade NAT: calls from outside find the way in, whatever the NAT forgets. */
import { carrierNat, hosts, numbers } from "../addresses.ts";
import { header } from "../capture/sip.ts";
import { sleep, until } from "../deadline.ts";
import type { Lab } from "../lab.ts";
import { carrierNatRestarts } from "../network.ts";
import { expect, type Scenario } from "../scenario.ts";
import { inboundOverLte, siteIsNormal } from "../story.ts";

const FORGETS_S = 10;
/** One keep-alive of those that the box begins with, and what it takes to be registered again. */
const FOUND_OUT_MS = 35_000;

/** The contact in the newest REGISTER that the carrier has seen. */
function registeredContact(lab: Lab): string | undefined {
  const newest = lab.captures.lte.messages.entries.findLast(
    ({ method, to }) => method === "REGISTER" && to.startsWith(hosts.lteTrunk),
  );
  return newest === undefined ? undefined : header(newest, "contact")?.match(/<([^>]+)>/)?.[1];
}

/** Keep-alives come more often each time that the NAT has forgotten the box, until it does not any more. */
async function nothingIsForgotten(lab: Lab): Promise<void> {
  await lab.step(`the box learns that the NAT forgets in ${FORGETS_S} s: its port stays the same`, () =>
    until("the same contact for three times as long", 120_000, async () => {
      const before = registeredContact(lab);
      await sleep(3 * FORGETS_S * 1000);
      return registeredContact(lab) === before || undefined;
    }),
  );
}

async function behindCarrierNat(lab: Lab): Promise<void> {
  const { baresip101, baresip102 } = lab.phones;
  await siteIsNormal(lab);
  await lab.step("the box registers the address that the carrier sees", () =>
    until("a contact outside of the NAT", 15_000, async () =>
      registeredContact(lab)?.includes(`${numbers.main}@${carrierNat.outside}:`) ? true : undefined,
    ),
  );
  if (lab.layout.tcp !== true) await nothingIsForgotten(lab);
  await lab.step("nobody calls for longer than the NAT remembers", () => sleep(2 * FORGETS_S * 1000));
  await inboundOverLte(lab, baresip101, [baresip102]);

  const before = registeredContact(lab);
  const lost_at = Date.now();
  await lab.step("the NAT loses everything that it remembered", carrierNatRestarts);
  await lab.step("the box finds out, and registers its new port", () =>
    until("another contact", FOUND_OUT_MS, async () => registeredContact(lab) !== before || undefined),
  );
  lab.measure("reachable_again_ms", Date.now() - lost_at);
  await inboundOverLte(lab, baresip102, [baresip101]);
  const old = before ?? "";
  const removed = lab.captures.lte.messages.entries.some(
    (message) => message.method === "REGISTER" && (header(message, "contact") ?? "").includes(`<${old}>;expires=0`),
  );
  expect(removed, "the contact that the NAT has taken away was not taken off the registrar");
}

export const carrierNats: readonly Scenario[] = [
  {
    name: "carrier-nat",
    summary:
      "LTE behind a NAT that forgets UDP in 10 s, then everything: the main number still rings, with sound both ways",
    layout: { box: "one-armed", telephones: "box", box_running: true, carrier_nat_s: FORGETS_S },
    deadline_ms: 300_000,
    run: behindCarrierNat,
  },
  {
    name: "carrier-nat-tcp",
    summary:
      "the same trunk over TCP: the connection is the way in, and a new one is registered when the NAT has lost it",
    layout: { box: "one-armed", telephones: "box", box_running: true, tcp: true, carrier_nat_s: FORGETS_S },
    run: behindCarrierNat,
  },
];
