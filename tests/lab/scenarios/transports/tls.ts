/** SIP over TLS, told by real telephones, a real trunk, and openssl as the judge of what the box shows. */
import { writeFile } from "node:fs/promises";
import { cellular, domains, hosts, numbers } from "../../addresses.ts";
import { sleep, until } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import type { Baresip } from "../../peers/baresip.ts";
import type { Telephone } from "../../peers/telephone.ts";
import { tryRunIn } from "../../processes.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { bothHeard, hangUp, internalCall } from "../../story.ts";
import { askTls, optionsAtTrunkPort, renewed, secureStage, serialShown, siteOf, trunkIsUp } from "./secure-site.ts";

const TALK_MS = 1500;

/** A 911 call that the PSAP of that side takes, with sound both ways. */
async function call911(lab: Lab, caller: Baresip, psap: Telephone, by: string): Promise<void> {
  await lab.step(`${caller.name} calls 911: by ${by}`, async () => {
    for (const phone of [caller, psap]) phone.forget();
    await caller.dial(numbers.emergency);
    await psap.ringing(10_000);
    await psap.answer();
    await Promise.all([psap.established(5000), caller.established(5000)]);
    await sleep(TALK_MS);
    await hangUp(caller, psap);
    await bothHeard(lab, caller, psap);
  });
}

async function phonesCall(lab: Lab): Promise<void> {
  const { phone101, phone102, authority } = siteOf(lab);
  await lab.step("openssl verifies the box's certificate for the name by which the telephones know it", async () => {
    const said = await askTls(["-CAfile", authority.file, "-verify_hostname", domains.box, "-verify_return_error"]);
    expect(said.includes("Verification: OK"), `openssl says: ${said}`);
  });
  await internalCall(lab, phone101, phone102, "TLS to the box, UDP from there to the cloud and back");
  await internalCall(lab, phone102, phone101, "and the other way");
  await lab.step("nothing of SIP was readable between the telephones and the box", async () => {
    const plain = lab.captures.lan.messages.entries.filter(({ from, to }) =>
      [from, to].some((end) => end === phone101.address || end === phone102.address),
    );
    expect(plain.length === 0, `${plain.length} messages were, the first: ${plain[0]?.start}`);
  });
}

async function mutualTrunk(lab: Lab): Promise<void> {
  const { phone101, box } = siteOf(lab);
  const trunkFiles = siteOf(lab).trunkCertificate();
  const { psapLte, outside } = lab.remote;
  await call911(lab, phone101, psapLte, "the trunk, over mutual TLS");
  await lab.step(
    "the outside telephone calls the main number: by TLS to the box, and to who called 911 last",
    async () => {
      for (const phone of [phone101, outside]) phone.forget();
      await outside.dial(`sip:${numbers.main}@${hosts.secureTrunk}`);
      await phone101.ringing(5000);
      await phone101.answer();
      await Promise.all([phone101.established(5000), outside.established(5000)]);
      await sleep(TALK_MS);
      await hangUp(outside, phone101);
      await bothHeard(lab, outside, phone101);
    },
  );
  await lab.step("at the trunk's port only the trunk's own certificate is heard, and nothing but TLS", async () => {
    const shown = (await optionsAtTrunkPort(trunkFiles.certificate_file, trunkFiles.key_file)).trim();
    expect(shown.startsWith("SIP/2.0 200"), `the trunk's own certificate is answered: ${shown}`);
    for (const { certificate_file, key_file } of [box, { certificate_file: "", key_file: "" }]) {
      const answer = await optionsAtTrunkPort(certificate_file, key_file);
      expect(!answer.includes("SIP/2.0"), `whoever is not the trunk got an answer: ${answer}`);
    }
    const { stdout: udp } = await tryRunIn("box", ["ss", "-Hlun", `src ${cellular.box}:5070`]);
    expect(udp.trim() === "", "the trunk's port takes UDP, over which anybody could pretend to be the trunk");
  });
}

async function certificateRenewed(lab: Lab): Promise<void> {
  const site = siteOf(lab);
  const { phone101, phone102, authority } = site;
  const before = await serialShown(authority.file);
  expect(before === site.box.serial, `the box shows ${before}, not ${site.box.serial}`);
  await lab.step("101 talks with 102", async () => {
    for (const phone of [phone101, phone102]) phone.forget();
    await phone101.dial(phone102.user);
    await phone102.ringing(5000);
    await phone102.answer();
    await Promise.all([phone101.established(5000), phone102.established(5000)]);
  });
  await lab.step("the certificate's files are replaced: new connections meet the new one", async () => {
    site.box = renewed(authority);
    await until("the box to show the new certificate", 10_000, async () => {
      const shown = await serialShown(authority.file);
      return shown === site.box.serial || undefined;
    });
  });
  await lab.step("the call lives on over the connections of before, and ends as it should", async () => {
    await sleep(TALK_MS);
    await hangUp(phone102, phone101);
    await bothHeard(lab, phone101, phone102);
  });
  await lab.step("a key that does not fit is not taken over, and an alarm says so", async () => {
    await writeFile(site.box.key_file, authority.issue("other", { names: [] }).key_pem);
    await until("the box to say that a certificate cannot be used", 10_000, async () => {
      const alarms = (await lab.box.status())?.alarms ?? [];
      return alarms.some(({ code }) => code === "certificate.unusable") || undefined;
    });
    expect((await serialShown(authority.file)) === site.box.serial, "the box no longer shows the last good one");
    await writeFile(site.box.key_file, site.box.key_pem);
    await until("the alarm to be cleared", 10_000, async () => {
      const alarms = (await lab.box.status())?.alarms ?? [];
      return !alarms.some(({ code }) => code === "certificate.unusable") || undefined;
    });
  });
}

async function impostor(lab: Lab): Promise<void> {
  const site = siteOf(lab);
  await lab.step("the trunk shows a certificate for another domain: it is down, and the page says why", async () => {
    await site.trunkShows([`DNS:${domains.lteTrunk}`]);
    await site.trunk.kill();
    await site.trunk.restart();
    await until("the box to raise the trunk's alarm", 15_000, async () => {
      const status = await lab.box.status();
      const alarm = status?.alarms.find(({ code }) => code === "trunk.certificate");
      const trunk = status?.engine?.trunks.find(({ id }) => id === "lte-trunk");
      return (
        (alarm?.detail.includes(`names ${domains.lteTrunk}, not ${domains.secureTrunk}`) && trunk?.state === "down") ||
        undefined
      );
    });
  });
  await call911(lab, site.phone101, lab.remote.psapWan, "the cloud, because the trunk proves nothing");
  await lab.step("the trunk shows the right one again: it is up, and the alarm is gone", async () => {
    await site.trunkShows([`URI:sip:${domains.secureTrunk}`]);
    await site.trunk.kill();
    await site.trunk.restart();
    await trunkIsUp(lab, 60_000);
    const alarms = (await lab.box.status())?.alarms ?? [];
    expect(!alarms.some(({ code }) => code === "trunk.certificate"), "the alarm still stands");
  });
}

export const tls: readonly Scenario[] = [
  {
    name: "tls-phones-call",
    summary: "telephones over TLS to the box's own name call each other through a cloud that speaks UDP",
    short: true,
    stage: secureStage,
    run: phonesCall,
  },
  {
    name: "tls-911-over-mutual-trunk",
    summary: "a TLS telephone's 911 call, and a call in, over a trunk where both sides present certificates",
    short: true,
    stage: secureStage,
    run: mutualTrunk,
  },
  {
    name: "tls-certificate-renewed-in-a-call",
    summary: "a renewed certificate is shown to new connections while a call lives on; one that does not fit is not",
    short: true,
    stage: secureStage,
    run: certificateRenewed,
  },
  {
    name: "tls-trunk-impostor",
    summary: "a trunk that cannot prove its domain is down and the page says why; 911 goes elsewhere until it can",
    stage: secureStage,
    run: impostor,
  },
];
