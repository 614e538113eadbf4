import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { CertificateAuthority, type IssuedCertificate } from "../../tests/certificate-authority.ts";
import { readCertificates } from "./certificates.ts";
import { parseConfig } from "./config/load.ts";
import type { SiteConfig } from "./config/schema.ts";

const DAY_MS = 86_400_000;
const NOW = Date.now();
let directory: string;
let authority: CertificateAuthority;
let good: IssuedCertificate;
let other: IssuedCertificate;
let expired: IssuedCertificate;
let early: IssuedCertificate;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "certificates-"));
  authority = new CertificateAuthority(join(directory, "ca"));
  const names = ["DNS:box.site.example"];
  const from = (days: number) => new Date(NOW + days * DAY_MS);
  good = authority.issue("good", { names });
  other = authority.issue("other", { names });
  expired = authority.issue("expired", { names, valid: { from: from(-20), to: from(-1) } });
  early = authority.issue("early", { names, valid: { from: from(2), to: from(20) } });
  const half = authority.pem.slice(0, authority.pem.length / 2);
  writeFileSync(join(directory, "half-chain.pem"), good.certificate_pem + half);
  writeFileSync(join(directory, "half-list.pem"), authority.pem + half);
  const short = ["-keyout", join(directory, "short.key"), "-out", join(directory, "short.pem"), "-subj", "/CN=short"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:1024", "-nodes", ...short], { stdio: "ignore" });
  writeFileSync(join(directory, "rubbish.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
});

/** Only what is read of a site file here. */
function site(parts: Record<string, unknown>): SiteConfig {
  return { certificates: [], lans: [], trunks: [], pbx_targets: [], ...parts } as unknown as SiteConfig;
}

const box = (certificate_file: string, key_file: string) =>
  site({ certificates: [{ id: "box", certificate_file, key_file }] });

describe("certificates of the box", () => {
  test("a good one is read with its end", () => {
    const { bundle, faults, ends } = readCertificates(box(good.certificate_file, good.key_file), NOW);
    expect(faults).toEqual([]);
    expect(bundle.certificates.box).toEqual({ certificate_pem: good.certificate_pem, key_pem: good.key_pem });
    expect(ends[0]?.ends_wall).toBeGreaterThan(NOW + 80 * DAY_MS);
  });

  test.each([
    [
      "a file that is not there",
      () => ["/nowhere/box.pem", good.key_file],
      "certificate_file",
      "missing",
      "no such file",
    ],
    ["no certificate in it", () => [good.key_file, good.key_file], "certificate_file", "broken", "no certificate"],
    [
      "a damaged one",
      () => [join(directory, "rubbish.pem"), good.key_file],
      "certificate_file",
      "broken",
      "no certificate",
    ],
    [
      "a chain of which half is written",
      () => [join(directory, "half-chain.pem"), good.key_file],
      "certificate_file",
      "broken",
      "TLS cannot use it",
    ],
    [
      "a key too short for TLS",
      () => [join(directory, "short.pem"), join(directory, "short.key")],
      "certificate_file",
      "broken",
      "key too small",
    ],
    ["no key in it", () => [good.certificate_file, good.certificate_file], "key_file", "broken", "no private key"],
    [
      "another's key",
      () => [good.certificate_file, other.key_file],
      "key_file",
      "mismatched",
      "another certificate's key",
    ],
  ])("%s is named, and nothing of it is used", (_, files, key, kind, found) => {
    const [certificate = "", secret = ""] = files();
    const read = readCertificates(box(certificate, secret), NOW);
    expect(read.faults).toEqual([
      expect.objectContaining({ path: ["certificates", 0, key], kind, found: expect.stringContaining(found) }),
    ]);
    expect(read.bundle.certificates).toEqual({});
  });

  test.each([
    ["expired", () => expired, "expired"],
    ["not yet valid", () => early, "not_yet_valid"],
  ] as const)("one that is %s is named, and used all the same: many a phone looks at no date", (_, which, kind) => {
    const { certificate_file, key_file } = which();
    const { bundle, faults } = readCertificates(box(certificate_file, key_file), NOW);
    expect(faults).toEqual([expect.objectContaining({ path: ["certificates", 0, "certificate_file"], kind })]);
    expect(bundle.certificates.box).toBeDefined();
  });
});

test("lists of authorities are read, each fault under the key that names the file", () => {
  const { bundle, faults } = readCertificates(
    site({
      lans: [{ tls: { certificate: "box", port: 5061, client_ca_file: authority.file } }],
      trunks: [{ tls: { ca_file: good.key_file } }],
      pbx_targets: [{ tls: { ca_file: "/nowhere/ca.pem" } }, { tls: { ca_file: join(directory, "half-list.pem") } }],
    }),
    NOW,
  );
  expect(Object.keys(bundle.authorities)).toEqual([authority.file]);
  expect(faults.map(({ path, kind }) => [path.join("."), kind])).toEqual([
    ["pbx_targets.0.tls.ca_file", "missing"],
    ["pbx_targets.1.tls.ca_file", "broken"],
    ["trunks.0.tls.ca_file", "broken"],
  ]);
});

test("a loaded site file tells file, line and key for a fault that is found later", () => {
  const text = (file: string) => `v: 1
org: { id: o, name: O }
site: { id: s, name: S, location: hall, main_number: "+13035550100" }
box: { id: b }
certificates:
  - id: box
    certificate_file: ${file}
    key_file: ${file}
lans:
  - { id: lan, address: 10.0.0.1, subnets: [10.0.0.0/24], tls: { certificate: box } }
paths:
  - { id: wan, kind: wan }
locations:
  - { id: hall, label: Hall, civic: { country: US } }
`;
  const result = parseConfig(text("/etc/box.pem"), "site.yaml");
  expect(result.ok ? result.place(["certificates", 0, "key_file"]) : result.faults).toEqual({
    file: "site.yaml",
    line: 8,
    key: "certificates[box].key_file",
  });
  expect(parseConfig(text("box.pem"), "site.yaml")).toMatchObject({ ok: false });
});
