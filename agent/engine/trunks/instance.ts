import { createHash } from "node:crypto";
import type { SiteConfig } from "../../base/config/schema.ts";

/** Namespace of the box's names, drawn once; never to be changed. */
const NAMESPACE = "6d1e7c52-8d0f-4f63-9a86-5f2a0b7c9e31";

/**
 * The box's instance id (RFC 5626 §4.1): a name-based UUID (RFC 9562 §5.5) of what the site file calls it, so that it is
 * the same after a restart, an update and a change of hardware.
 */
export function instanceUrn({ org, site, box }: Pick<SiteConfig, "org" | "site" | "box">): string {
  const hash = createHash("sha1")
    .update(Buffer.from(NAMESPACE.replaceAll("-", ""), "hex"))
    .update(`${org.id}/${site.id}/${box.id}`)
    .digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)];
  return `urn:uuid:${parts.join("-")}`;
}
