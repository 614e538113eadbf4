import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { SiteConfig } from "./config/schema.ts";
import { unusable } from "./tls-material.ts";

/** What the PEM files that the site file names hold. Read by `site`, handed to the engine in the snapshot. */
export interface CertificateBundle {
  /** By the certificate's id. */
  readonly certificates: Readonly<Record<string, { readonly certificate_pem: string; readonly key_pem: string }>>;
  /** Authorities by file name. */
  readonly authorities: Readonly<Record<string, string>>;
}

export const NO_CERTIFICATES: CertificateBundle = { certificates: {}, authorities: {} };

export interface CertificateFault {
  /** Where in the site file. */
  readonly path: readonly (string | number)[];
  readonly kind: "missing" | "broken" | "mismatched" | "expired" | "not_yet_valid";
  readonly found: string;
  readonly allowed: string;
}

/** When a certificate of the box ends. */
export interface CertificateEnd {
  readonly id: string;
  readonly ends_wall: number;
}

export interface ReadCertificates {
  /** What can be used, expired ones included: many a phone looks at no date, and none gets a connection without. */
  readonly bundle: CertificateBundle;
  readonly faults: readonly CertificateFault[];
  readonly ends: readonly CertificateEnd[];
}

/** The text of a file; throws when it cannot be read. */
export type ReadText = (file: string) => string;

/** Reads every certificate, key and list of authorities that the site file names. Throws nothing. */
export function readCertificates(
  config: SiteConfig,
  now_wall: number,
  read: ReadText = (file) => readFileSync(file, "utf8"),
): ReadCertificates {
  const certificates: Record<string, { certificate_pem: string; key_pem: string }> = {};
  const authorities: Record<string, string> = {};
  const faults: CertificateFault[] = [];
  const ends: CertificateEnd[] = [];
  config.certificates.forEach((entry, i) => {
    const own = readOwn(entry, now_wall, read);
    faults.push(...own.faults.map(({ key, ...fault }) => ({ ...fault, path: ["certificates", i, key] })));
    if (own.material !== undefined) certificates[entry.id] = own.material;
    if (own.ends_wall !== undefined) ends.push({ id: entry.id, ends_wall: own.ends_wall });
  });
  for (const { path, file } of authorityFiles(config)) {
    const text = readFile(file, read);
    if ("fault" in text) faults.push({ ...text.fault, path });
    else if (certificatesIn(text.text).length === 0) {
      faults.push({ path, kind: "broken", found: `${file}: no certificate in it`, allowed: "certificates in PEM" });
    } else if (isCutOff(text.text)) {
      faults.push({ path, kind: "broken", found: `${file}: cut off in a certificate`, allowed: "the whole list" });
    } else authorities[file] = text.text;
  }
  return { bundle: { certificates, authorities }, faults, ends };
}

/** Every file that the site file names for TLS. */
export function certificateFiles(config: SiteConfig): readonly string[] {
  const own = config.certificates.flatMap(({ certificate_file, key_file }) => [certificate_file, key_file]);
  return [...new Set([...own, ...authorityFiles(config).map(({ file }) => file)])];
}

/** Every certificate of a PEM text; what cannot be read is left out. */
export function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

/** OpenSSL takes the whole ones of a list and says nothing of the rest, whose peers would then prove nothing. */
function isCutOff(pem: string): boolean {
  return pem.split("-----BEGIN CERTIFICATE-----").length !== pem.split("-----END CERTIFICATE-----").length;
}

function authorityFiles(config: SiteConfig): { readonly path: readonly (string | number)[]; readonly file: string }[] {
  const of = (list: "trunks" | "pbx_targets", key: "ca_file") =>
    config[list].flatMap(({ tls }, i) => {
      const file = tls?.[key];
      return file === undefined ? [] : [{ path: [list, i, "tls", key], file }];
    });
  const phones = config.lans.flatMap(({ tls }, i) =>
    tls?.client_ca_file === undefined ? [] : [{ path: ["lans", i, "tls", "client_ca_file"], file: tls.client_ca_file }],
  );
  return [...phones, ...of("pbx_targets", "ca_file"), ...of("trunks", "ca_file")];
}

type OwnFault = Omit<CertificateFault, "path"> & { readonly key: "certificate_file" | "key_file" };

function readOwn(
  { certificate_file, key_file }: SiteConfig["certificates"][number],
  now_wall: number,
  read: ReadText,
): {
  readonly material?: { readonly certificate_pem: string; readonly key_pem: string };
  readonly ends_wall?: number;
  readonly faults: readonly OwnFault[];
} {
  const chain = readFile(certificate_file, read);
  const secret = readFile(key_file, read);
  const faults: OwnFault[] = [];
  if ("fault" in chain) faults.push({ ...chain.fault, key: "certificate_file" });
  if ("fault" in secret) faults.push({ ...secret.fault, key: "key_file" });
  if (!("text" in chain) || !("text" in secret)) return { faults };
  const [certificate] = certificatesIn(chain.text);
  if (certificate === undefined) {
    const found = `${certificate_file}: no certificate in it`;
    faults.push({ key: "certificate_file", kind: "broken", found, allowed: "a certificate, and its chain, in PEM" });
  }
  const key = privateKey(secret.text);
  if (key === undefined) {
    const found = `${key_file}: no private key in it that can be read without a password`;
    faults.push({ key: "key_file", kind: "broken", found, allowed: "an unencrypted private key in PEM" });
  }
  if (certificate === undefined || key === undefined) return { faults };
  if (!certificate.checkPrivateKey(key)) {
    const found = `${key_file}: another certificate's key`;
    faults.push({ key: "key_file", kind: "mismatched", found, allowed: `the key of ${certificate_file}` });
    return { faults };
  }
  const fault = unusable(chain.text, secret.text);
  if (fault !== undefined) {
    const found = `${certificate_file}: TLS cannot use it with its chain and key: ${fault}`;
    faults.push({ key: "certificate_file", kind: "broken", found, allowed: "a whole chain, keys of today's lengths" });
    return { faults };
  }
  const from_wall = certificate.validFromDate.getTime();
  const ends_wall = certificate.validToDate.getTime();
  const dates = `${certificate_file}: valid from ${certificate.validFrom} to ${certificate.validTo}`;
  if (ends_wall <= now_wall) {
    faults.push({ key: "certificate_file", kind: "expired", found: dates, allowed: "one that is valid today" });
  } else if (from_wall > now_wall) {
    faults.push({ key: "certificate_file", kind: "not_yet_valid", found: dates, allowed: "one that is valid today" });
  }
  return { material: { certificate_pem: chain.text, key_pem: secret.text }, ends_wall, faults };
}

function readFile(
  file: string,
  read: ReadText,
): { readonly text: string } | { readonly fault: Omit<CertificateFault, "path"> } {
  try {
    return { text: read(file) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unreadable";
    const found = code === "ENOENT" ? `${file}: no such file` : `${file}: ${code}`;
    return { fault: { kind: "missing", found, allowed: "a file that the box may read" } };
  }
}

function privateKey(pem: string) {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
