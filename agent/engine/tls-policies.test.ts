import { expect, test } from "vitest";
import type { CertificateBundle } from "../base/certificates.ts";
import type { SiteConfig } from "../base/config/schema.ts";
import { lanPolicy, lastResort, SiteTlsPolicies, trunkPolicy } from "./tls-policies.ts";

const own = { certificate_pem: "certificate", key_pem: "key" };
const BUNDLE: CertificateBundle = { certificates: { box: own }, authorities: { "/ca.pem": "authority" } };

function policies(parts: Record<string, unknown>, bundle = BUNDLE): SiteTlsPolicies {
  const made = new SiteTlsPolicies(() => true);
  made.configure({ lans: [], trunks: [], pbx_targets: [], ...parts } as unknown as SiteConfig, bundle);
  return made;
}

test("phones meet the LAN's certificate, and are asked for theirs where the site says so", () => {
  const made = policies({
    lans: [
      { id: "voice", tls: { certificate: "box", port: 5061 } },
      { id: "guarded", tls: { certificate: "box", port: 5061, client_ca_file: "/ca.pem" } },
      { id: "unreadable", tls: { certificate: "box", port: 5061, client_ca_file: "/gone.pem" } },
      { id: "plain" },
    ],
  });
  expect(made.policy(lanPolicy("voice"))).toEqual({ own, asks_client: false });
  expect(made.policy(lanPolicy("guarded"))).toEqual({ own, ca_pem: "authority", asks_client: true });
  // Nobody gets in by a list that cannot be read.
  expect(made.policy(lanPolicy("unreadable"))).toBeUndefined();
  expect(made.policy(lanPolicy("plain"))).toBeUndefined();
});

test("a trunk must prove the domain of the site file, whatever DNS makes of it", () => {
  const made = policies({
    pbx_targets: [{ id: "cloud", transport: "tls", domain: "pbx.example", host: "edge.example" }],
    trunks: [
      { id: "named", transport: "tls", host: "192.0.2.1", tls: { identity: "trunk.example", certificate: "box" } },
      { id: "guarded", transport: "tls", host: "a.example", tls: { ca_file: "/ca.pem" } },
      { id: "unreadable", transport: "tls", host: "a.example", tls: { ca_file: "/gone.pem" } },
      { id: "plain", transport: "udp", host: "a.example" },
    ],
  });
  expect(made.policy(trunkPolicy("cloud"))).toEqual({ peer_domain: "pbx.example", asks_client: true });
  expect(made.policy(trunkPolicy("named"))).toEqual({ own, peer_domain: "trunk.example", asks_client: true });
  expect(made.policy(trunkPolicy("guarded"))).toMatchObject({ ca_pem: "authority" });
  expect(made.policy(trunkPolicy("unreadable"))).toBeUndefined();
  expect(made.policy(trunkPolicy("plain"))).toBeUndefined();
  // For a 911 call that nothing else takes: its dates alone are overlooked.
  expect(made.policy(lastResort(trunkPolicy("cloud")))).toEqual({
    peer_domain: "pbx.example",
    asks_client: true,
    overlooks_dates: true,
  });
});

test("what has not changed stays the same object, so that nothing is built anew for it", () => {
  const parts = { lans: [{ id: "voice", tls: { certificate: "box", port: 5061 } }], trunks: [], pbx_targets: [] };
  const made = policies(parts);
  const before = made.policy(lanPolicy("voice"));
  made.configure(parts as unknown as SiteConfig, structuredClone(BUNDLE));
  expect(made.policy(lanPolicy("voice"))).toBe(before);
  const renewed = { ...BUNDLE, certificates: { box: { ...own, certificate_pem: "renewed" } } };
  made.configure(parts as unknown as SiteConfig, renewed);
  expect(made.policy(lanPolicy("voice"))?.own?.certificate_pem).toBe("renewed");
});
