import type { Clock } from "../../base/clock.ts";
import type { Availability, AvailabilityChange, Evidence } from "../../base/events.ts";
import type { AvailabilityView, DeviceView } from "./availability.ts";

export type AvailabilitySubject = "device" | "extension" | "did";

interface Known {
  readonly availability: Availability;
  readonly since_wall: number;
}

/** Remembers since when each is as it is, and tells of changes. The first look is no change: it is how things are found. */
export class AvailabilityWatch {
  readonly #clock: Clock;
  readonly #tell: (what: AvailabilitySubject, change: AvailabilityChange) => void;
  #known: Map<string, Known> | undefined;
  #devices: readonly (DeviceView & { readonly since_wall: number })[] = [];

  constructor(clock: Clock, tell: (what: AvailabilitySubject, change: AvailabilityChange) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Devices of an extension as last seen. */
  devicesOf(extension: string): readonly (DeviceView & { readonly since_wall: number })[] {
    return this.#devices.filter((device) => device.extension === extension);
  }

  of(what: AvailabilitySubject, id: string): Known | undefined {
    return this.#known?.get(`${what} ${id}`);
  }

  look(view: AvailabilityView): void {
    const next = new Map<string, Known>();
    const see = (what: AvailabilitySubject, id: string, now: Availability, evidence: readonly Evidence[]): number => {
      const key = `${what} ${id}`;
      const before = this.#known?.get(key);
      if (before?.availability === now) {
        next.set(key, before);
        return before.since_wall;
      }
      const since_wall = this.#clock.wall();
      next.set(key, { availability: now, since_wall });
      const from = before?.availability ?? "unknown";
      if (this.#known !== undefined && from !== now) this.#tell(what, { id, from, to: now, since_wall, evidence });
      return since_wall;
    };
    this.#devices = view.devices.map((device) => ({
      ...device,
      since_wall: see("device", device.id, device.availability, device.evidence),
    }));
    for (const [id, now] of view.extensions) {
      const own = this.#devices.filter((device) => device.extension === id);
      see(
        "extension",
        id,
        now,
        own.flatMap(({ evidence }) => evidence),
      );
    }
    for (const [id, now] of view.dids) see("did", id, now, []);
    this.#known = next;
  }
}
