import type { SiteConfig } from "./schema.ts";

export interface ReferenceFault {
  readonly path: readonly (string | number)[];
  readonly found: string;
  readonly allowed: string;
}

/** What a schema cannot say: ids are unique, references meet their target, ports do not collide, roles are possible. */
export function crossReferences(config: SiteConfig): ReferenceFault[] {
  const faults: ReferenceFault[] = [];
  const ids = (items: readonly { readonly id: string }[], list: string): string[] => {
    const seen = new Set<string>();
    items.forEach((item, i) => {
      if (seen.has(item.id))
        faults.push({ path: [list, i, "id"], found: `"${item.id}" twice`, allowed: "an id used once" });
      seen.add(item.id);
    });
    return [...seen];
  };
  const refer = (path: (string | number)[], value: string | undefined, known: readonly string[], what: string) => {
    if (value === undefined || known.includes(value)) return;
    faults.push({
      path,
      found: `"${value}"`,
      allowed: known.length > 0 ? `a ${what}: ${known.join(", ")}` : `a ${what}, but none is listed`,
    });
  };

  const paths = ids(config.paths, "paths");
  const profiles = ids(config.carrier_profiles, "carrier_profiles");
  const trunks = ids(config.trunks, "trunks");
  const pbxs = ids(config.pbx_targets, "pbx_targets");
  const extensions = ids(config.extensions, "extensions");
  const locations = ids(config.locations, "locations");
  for (const list of ["lans", "devices", "dids", "people", "modems", "ups", "gpio_lines"] as const)
    ids(config[list], list);

  refer(["site", "location"], config.site.location, locations, "location");
  config.site.main_group.forEach((value, i) => {
    refer(["site", "main_group", i], value, extensions, "extension");
  });
  config.lans.forEach((lan, i) => {
    refer(["lans", i, "location"], lan.location, locations, "location");
  });
  const certificates = ids(config.certificates, "certificates");
  config.lans.forEach(({ tls, sip_port }, i) => {
    refer(["lans", i, "tls", "certificate"], tls?.certificate, certificates, "certificate");
    if (tls?.port === sip_port) {
      faults.push({ path: ["lans", i, "tls", "port"], found: String(tls.port), allowed: "another port than sip_port" });
    }
  });
  for (const list of ["pbx_targets", "trunks"] as const) {
    config[list].forEach((peer, i) => {
      refer([list, i, "tls", "certificate"], peer.tls?.certificate, certificates, "certificate");
      const named = "domain" in peer ? peer.domain : peer.host;
      // RFC 5922 §7.1: an address is no SIP identity.
      if (peer.transport === "tls" && peer.tls?.identity === undefined && /^[0-9.]+$|:/.test(named)) {
        faults.push({
          path: [list, i, "tls", "identity"],
          found: `nothing, and ${named} is an address`,
          allowed: "the SIP domain that the peer's certificate names",
        });
      }
    });
  }
  config.trunks.forEach((trunk, i) => {
    refer(["trunks", i, "path"], trunk.path, paths, "path");
    refer(["trunks", i, "carrier_profile"], trunk.carrier_profile, profiles, "carrier profile");
    if (trunk.local_port === 5060) {
      faults.push({
        path: ["trunks", i, "local_port"],
        found: "5060",
        allowed: "a port other than 5060 (router ALGs meddle with it)",
      });
    }
    if (pbxs.includes(trunk.id)) {
      faults.push({
        path: ["trunks", i, "id"],
        found: `"${trunk.id}", also a PBX target`,
        allowed: "an id used once among trunks and PBX targets",
      });
    }
  });
  config.pbx_targets.forEach((pbx, i) => {
    refer(["pbx_targets", i, "path"], pbx.path, paths, "path");
    refer(["pbx_targets", i, "detour_path"], pbx.detour_path, paths, "path");
    refer(["pbx_targets", i, "carrier_profile"], pbx.carrier_profile, profiles, "carrier profile");
  });
  config.carrier_profiles.forEach((profile, i) => {
    if (profile.location === "reference" && profile.location_reference === undefined) {
      faults.push({
        path: ["carrier_profiles", i, "location_reference"],
        found: "nothing",
        allowed: "a URI, because location is `reference`",
      });
    }
  });
  config.emergency.routes.forEach((value, i) => {
    refer(["emergency", "routes", i], value, [...pbxs, ...trunks], "PBX target or trunk");
  });
  config.extensions.forEach((extension, i) => {
    refer(["extensions", i, "location"], extension.location, locations, "location");
    if (config.emergency.numbers.some((number) => number.digits === extension.number)) {
      faults.push({
        path: ["extensions", i, "number"],
        found: `"${extension.number}", an emergency number`,
        allowed: "any other number",
      });
    }
  });
  config.devices.forEach((device, i) => {
    refer(["devices", i, "extension"], device.extension, extensions, "extension");
    refer(["devices", i, "location"], device.location, locations, "location");
  });
  config.dids.forEach((did, i) => {
    refer(["dids", i, "extension"], did.extension, extensions, "extension");
  });
  config.modems.forEach((modem, i) => {
    refer(["modems", i, "path"], modem.path, paths, "path");
  });
  config.noc.brokers.forEach((broker, i) => {
    broker.paths.forEach((value, j) => {
      refer(["noc", "brokers", i, "paths", j], value, paths, "path");
    });
  });
  if (!isTimeZone(config.site.time_zone)) {
    faults.push({
      path: ["site", "time_zone"],
      found: `"${config.site.time_zone}"`,
      allowed: "an IANA time zone, such as America/Chicago",
    });
  }
  if (config.media.port_max - config.media.port_min < 99) {
    faults.push({
      path: ["media", "port_max"],
      found: String(config.media.port_max),
      allowed: "at least port_min + 99",
    });
  }
  return faults;
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
