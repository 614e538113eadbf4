import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { CertificateAuthority } from "../../tests/certificate-authority.ts";
import { check } from "./check.ts";

const FIXTURE = new URL("../../tests/fixtures/site.yaml", import.meta.url).pathname;

afterEach(() => void vi.restoreAllMocks());

async function checked(text: string): Promise<{ code: number; said: string }> {
  const lines: string[] = [];
  for (const way of ["log", "error"] as const)
    vi.spyOn(console, way).mockImplementation((line) => void lines.push(line));
  const file = join(mkdtempSync(join(tmpdir(), "check-")), "site.yaml");
  writeFileSync(file, text);
  const code = await check(["--config", file]);
  return { code, said: lines.join("\n").replaceAll(file, "site.yaml") };
}

const withCertificate = (certificate_file: string, key_file: string) => `certificates:
  - id: box
    certificate_file: ${certificate_file}
    key_file: ${key_file}
${readFileSync(FIXTURE, "utf8")}`;

test("a certificate that is missing, or does not fit its key, is named with file, line and key", async () => {
  const authority = new CertificateAuthority(mkdtempSync(join(tmpdir(), "check-ca-")));
  const one = authority.issue("one", { names: ["DNS:box.site.example"] });
  const other = authority.issue("other", { names: [] });
  expect((await checked(withCertificate(one.certificate_file, one.key_file))).code).toBe(0);
  const mixed = await checked(withCertificate(one.certificate_file, other.key_file));
  expect(mixed.code).toBe(1);
  expect(mixed.said).toContain("site.yaml:4: certificates[box].key_file: found");
  expect(mixed.said).toContain("another certificate's key");
  const missing = await checked(withCertificate("/nowhere/box.pem", one.key_file));
  expect(missing.said).toContain(
    "site.yaml:3: certificates[box].certificate_file: found /nowhere/box.pem: no such file",
  );
  expect(missing.said).toContain("1 error in site.yaml");
});
