import { createHash } from "node:crypto";
import type { SiteConfig } from "../../base/config/schema.ts";
import type { Availability, Evidence } from "../../base/events.ts";
import type { Binding } from "../../base/snapshot.ts";
import type { Unreached } from "./reach.ts";

/** One registered contact, with what is known of it besides. */
export interface ContactFacts {
  readonly binding: Binding;
  readonly live: boolean;
  /** How late it is with the refresh it was told to make, ms; below zero while it is in time. */
  readonly overdue_ms: number;
  readonly unreached: Unreached | undefined;
  /** The cloud has not got it back after an outage. */
  readonly stuck: boolean;
}

/** Everything that availability is a function of. */
export interface AvailabilityFacts {
  readonly config: SiteConfig;
  readonly now_wall: number;
  /** Contacts by extension id, live ones and those that lapsed within the memory. */
  readonly contacts: ReadonlyMap<string, readonly ContactFacts[]>;
  /** Nothing is known yet of those that have not been seen: the engine has just started without a memory. */
  readonly early: boolean;
  /** Whether a phone whose address of record this is may call out while the cloud is away. */
  readonly proves: (aor: string) => boolean;
  /** The cloud decides. */
  readonly normal: boolean;
}

export interface DeviceView {
  /** The site file's, or one made of extension and instance. */
  readonly id: string;
  readonly extension: string;
  readonly label: string;
  readonly availability: Availability;
  readonly evidence: readonly Evidence[];
  /** Its newest registration. */
  readonly binding: Binding | undefined;
}

export interface AvailabilityView {
  readonly devices: readonly DeviceView[];
  readonly extensions: ReadonlyMap<string, Availability>;
  readonly dids: ReadonlyMap<string, Availability>;
}

/** A refresh may be so late: phones are told round numbers and keep them roughly. */
const LATE_MS = 10_000;
const ORDER: readonly Availability[] = ["online", "limited", "unknown", "offline"];

/**
 * Who can be reached now. A device by its registrations; an extension by any of its devices; a DID by any extension that it
 * rings. `limited`: it rings here, but calls from the cloud do not reach it, or it may not call out.
 */
export function availabilityOf(facts: AvailabilityFacts): AvailabilityView {
  const devices = facts.config.extensions.flatMap((extension) => devicesOf(extension.id, facts));
  const extensions = new Map<string, Availability>();
  for (const { id } of facts.config.extensions) {
    const own = devices.filter((device) => device.extension === id).map(({ availability }) => availability);
    extensions.set(id, best(own, facts.early ? "unknown" : "offline"));
  }
  const dids = new Map<string, Availability>();
  for (const { id, extension } of facts.config.dids) {
    const rung = extension === undefined ? facts.config.site.main_group : [extension];
    dids.set(
      id,
      best(
        rung.flatMap((each) => extensions.get(each) ?? []),
        "offline",
      ),
    );
  }
  return { devices, extensions, dids };
}

function best(all: readonly Availability[], none: Availability): Availability {
  return ORDER.find((each) => all.includes(each)) ?? none;
}

/** The devices that the site file names, and those that registered beside them. */
function devicesOf(extension: string, facts: AvailabilityFacts): readonly DeviceView[] {
  const left = new Set(facts.contacts.get(extension) ?? []);
  const take = (which: (contact: ContactFacts) => boolean) => {
    const taken = [...left].filter(which);
    for (const each of taken) left.delete(each);
    return taken;
  };
  const named = facts.config.devices.filter((device) => device.extension === extension);
  const known = named.map((device) => ({
    device,
    contacts: take(
      ({ binding }) => device.instance !== undefined && urnOf(binding.instance) === urnOf(device.instance),
    ),
  }));
  // A device without an instance in the site file is the one that nobody else of this extension is.
  const anonymous = known.filter(({ device }) => device.instance === undefined);
  const [only] = anonymous;
  if (only !== undefined && anonymous.length === 1) only.contacts.push(...take(() => true));
  const views = known.map(({ device, contacts }) => deviceView(device.id, extension, device.label, contacts, facts));
  const others = new Map<string, ContactFacts[]>();
  for (const contact of left) {
    const { instance, source_address } = contact.binding;
    const id = `${extension}-${createHash("sha256")
      .update(instance ?? source_address)
      .digest("hex")
      .slice(0, 6)}`;
    others.set(id, [...(others.get(id) ?? []), contact]);
  }
  for (const [id, contacts] of others) {
    const { user_agent, source_address } = contacts[0]?.binding ?? {};
    views.push(deviceView(id, extension, user_agent || (source_address ?? ""), contacts, facts));
  }
  return views;
}

function deviceView(
  id: string,
  extension: string,
  label: string,
  contacts: readonly ContactFacts[],
  facts: AvailabilityFacts,
): DeviceView {
  const live = contacts.filter((contact) => contact.live);
  const newest = live[0] ?? contacts[0];
  const basics = { id, extension, label, binding: newest?.binding };
  const judged = live.map((contact) => judge(contact, facts));
  const chosen = ORDER.map((state) => judged.find(({ availability }) => availability === state)).find(
    (each) => each !== undefined,
  );
  if (chosen !== undefined) return { ...basics, ...chosen };
  if (newest === undefined && facts.early) {
    return { ...basics, availability: "unknown", evidence: [says("unknown", "not heard since the start", facts)] };
  }
  const why = newest === undefined ? "it has not registered" : "its registration is over";
  return { ...basics, availability: "offline", evidence: [says("bad", why, facts)] };
}

function judge(
  { binding, overdue_ms, unreached, stuck }: ContactFacts,
  facts: AvailabilityFacts,
): Pick<DeviceView, "availability" | "evidence"> {
  if (unreached !== undefined) {
    const { detail, at_wall } = unreached;
    return { availability: "offline", evidence: [{ source: "request", verdict: "bad", detail, at_wall }] };
  }
  if (overdue_ms > LATE_MS) {
    return { availability: "offline", evidence: [says("bad", "it has missed its refresh", facts)] };
  }
  if (facts.normal && stuck) {
    const detail = "registered here, but not with the cloud since the return";
    return { availability: "limited", evidence: [says("bad", detail, facts)] };
  }
  if (!facts.normal && binding.trust !== "full" && !facts.proves(binding.aor)) {
    const detail = "without a provisioned secret it may not call out while the cloud is away";
    return { availability: "limited", evidence: [says("bad", detail, facts)] };
  }
  return { availability: "online", evidence: [says("good", `registered from ${binding.source_address}`, facts)] };
}

const says = (verdict: Evidence["verdict"], detail: string, { now_wall }: AvailabilityFacts): Evidence => ({
  source: "register",
  verdict,
  detail,
  at_wall: now_wall,
});

/** `+sip.instance` is a quoted URN in angle brackets, the site file's the URN itself; a UUID's case means nothing (RFC 9562 §4). */
function urnOf(instance: string | undefined): string | undefined {
  return instance?.replace(/[<>"]/g, "").toLowerCase();
}
