/** The stage of SIP over TLS: phones that speak TLS to the box's own name, and a trunk that wants certificates of both. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CertificateAuthority, type IssuedCertificate } from "../../../certificate-authority.ts";
import { cellular, domains, type Extension, extensions, hosts, lan, ports } from "../../addresses.ts";
import { until } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { Baresip } from "../../peers/baresip.ts";
import { Kamailio } from "../../peers/kamailio.ts";
import { mutualTls, secureTrunk } from "../../peers/kamailio-configs.ts";
import { tryRunIn } from "../../processes.ts";
import type { Stage } from "../../scenario.ts";

export interface SecureSite {
  readonly authority: CertificateAuthority;
  /** In force at the box; a renewal goes into the same files. */
  box: IssuedCertificate;
  readonly trunk: Kamailio;
  readonly phone101: Baresip;
  readonly phone102: Baresip;
  /** What the trunk shows now. */
  trunkCertificate(): IssuedCertificate;
  /** What it shows from its next start on. */
  trunkShows(names: readonly string[]): Promise<void>;
}

const sites = new WeakMap<Lab, SecureSite>();

export function siteOf(lab: Lab): SecureSite {
  const found = sites.get(lab);
  if (found === undefined) throw new Error("the stage is not set");
  return found;
}

/** A certificate of the box for its own name. */
export const renewed = (authority: CertificateAuthority): IssuedCertificate =>
  authority.issue("box", { names: [`DNS:${domains.box}`] });

export const secureStage: Stage = {
  name: "secure-site",
  layout: { box: "one-armed", telephones: "later", box_running: false },

  async prepare(lab) {
    const authority = new CertificateAuthority(join(lab.directory, "authority"));
    const box = renewed(authority);
    const tls = join(lab.directory, "secure-trunk-tls.cfg");
    let trunkCertificate: IssuedCertificate | undefined;
    const trunkShows = async (names: readonly string[]) => {
      trunkCertificate = authority.issue("trunk", { names });
      await writeFile(tls, mutualTls(trunkCertificate, authority.file));
    };
    await trunkShows([`URI:sip:${domains.secureTrunk}`]);
    const { directory, runDirectory } = lab;
    const trunk = await Kamailio.start(lab.programs, {
      name: "secure-trunk",
      namespace: "lte",
      config: (control) => secureTrunk(control, tls),
      directory,
      runDirectory,
    });
    const { certificate_file, key_file } = box;
    await lab.box.start({ secure: { certificate_file, key_file, ca_file: authority.file } });
    const phone = (name: string, who: Extension, control_port: number, ca_file: string) =>
      new Baresip(lab.programs, {
        name,
        namespace: who.namespace,
        user: who.user,
        domain: domains.pbx,
        address: who.address,
        rtp_port: who.rtp_port,
        tone_hz: who.tone_hz,
        toneFile: join(runDirectory, `tone-${who.tone_hz}.wav`),
        control_port,
        transport: "tls",
        ca_file,
        registration: { password: who.password, outbound: [domains.box], expires_s: 60 },
        dnsServers: [lan.box],
        directory,
        runDirectory,
      });
    const site: SecureSite = {
      authority,
      box,
      trunk,
      phone101: phone("tls101", extensions.baresip101, 4401, authority.file),
      phone102: phone("tls102", extensions.baresip102, 4402, authority.file),
      trunkCertificate: () => trunkCertificate ?? box,
      trunkShows,
    };
    sites.set(lab, site);
    await Promise.all([site.phone101.start(), site.phone102.start()]);
    await Promise.all([site.phone101.registered(8000), site.phone102.registered(8000)]);
    await lab.box.mode("normal", 15_000);
    await trunkIsUp(lab, 15_000);
  },

  async settled(lab) {
    await trunkIsUp(lab, 15_000);
    await until("the box to show no call", 5000, async () => {
      const engine = (await lab.box.status())?.engine;
      return (engine?.mode === "normal" && engine.calls.length === 0) || undefined;
    });
  },
};

export async function trunkIsUp(lab: Lab, deadline_ms: number): Promise<void> {
  await until("the secure trunk to be up and registered", deadline_ms, async () => {
    const trunk = (await lab.box.status())?.engine?.trunks.find(({ id }) => id === "lte-trunk");
    return (trunk?.state === "up" && trunk.registered === true) || undefined;
  });
}

/** What openssl, which is not ours, says of the box's TLS port when it looks from a telephone's place. */
export async function askTls(options: readonly string[]): Promise<string> {
  const script = `openssl s_client -connect ${lan.box}:${ports.sips} -brief ${options.join(" ")} </dev/null`;
  const { stdout, stderr } = await tryRunIn("phone103", ["sh", "-c", script]);
  return stdout + stderr;
}

/** What the box answers to OPTIONS at the trunk's port, from the trunk's address, under this certificate or ("") none. */
export async function optionsAtTrunkPort(certificate_file: string, key_file: string): Promise<string> {
  const own = certificate_file === "" ? "" : `-cert ${certificate_file} -key ${key_file}`;
  const lines = [
    `OPTIONS sip:${cellular.box}:5070;transport=tls SIP/2.0`,
    `Via: SIP/2.0/TLS ${hosts.secureTrunk}:${ports.sips};branch=z9hG4bKask`,
    `From: <sip:${domains.secureTrunk}>;tag=ask`,
    `To: <sip:${cellular.box}>`,
    "Call-ID: ask",
    "CSeq: 1 OPTIONS",
    "Max-Forwards: 70",
    "Content-Length: 0",
  ];
  const message = lines.map((line) => `${line}\\r\\n`).join("");
  const ask = `(printf '${message}\\r\\n'; sleep 1)`;
  const script = `${ask} | timeout 1 openssl s_client -quiet -bind ${hosts.secureTrunk} -connect ${cellular.box}:5070 ${own} 2>/dev/null`;
  const { stdout } = await tryRunIn("lte", ["sh", "-c", script]);
  return stdout;
}

/** The serial number of the certificate that a new connection meets, after openssl has verified it for the box's name. */
export async function serialShown(ca_file: string): Promise<string> {
  const verify = `-CAfile ${ca_file} -verify_hostname ${domains.box} -verify_return_error`;
  const show = `openssl s_client -connect ${lan.box}:${ports.sips} ${verify} </dev/null 2>/dev/null | openssl x509 -noout -serial`;
  const { stdout } = await tryRunIn("phone103", ["sh", "-c", show]);
  return stdout.trim().replace("serial=", "");
}
