import type { AlarmBoard } from "../../base/alarms.ts";
import type { Clock } from "../../base/clock.ts";
import type { SiteConfig } from "../../base/config/schema.ts";
import type { EventFactory, HoldfastEvent, Mode } from "../../base/events.ts";
import type { Binding } from "../../base/snapshot.ts";
import type { DeviceStatus, PhoneStatus, StuckPhoneStatus } from "../../base/status.ts";
import type { AddressesOfRecord } from "./addresses-of-record.ts";
import { availabilityOf, type ContactFacts } from "./availability.ts";
import { AvailabilityWatch } from "./availability-watch.ts";
import type { BindingChange, BindingStore } from "./binding-store.ts";
import { Homecomers } from "./homecoming.ts";
import type { Reach } from "./reach.ts";

export interface PhoneWatchContext {
  readonly clock: Clock;
  readonly store: BindingStore;
  readonly reach: Reach;
  readonly alarms: AlarmBoard;
  readonly events: EventFactory;
  record(event: HoldfastEvent): void;
  config(): SiteConfig;
  mode(): Mode;
  aors(): AddressesOfRecord;
  /** A secret is provisioned for the phone of this address of record. */
  canProve(aor: string): boolean;
  /** See {@link PhoneStatus.elsewhere}. */
  elsewhere(aor: string): number;
}

/** A phone that was never seen is unknown so long after the start, and only then not there. */
const EARLY_MS = 120_000;
const NAMED_MAX = 5;

/** What becomes of the phones: who can be reached, who came home after an outage, who did not. */
export class PhoneWatch {
  readonly #context: PhoneWatchContext;
  readonly #homecomers: Homecomers;
  readonly #availability: AvailabilityWatch;
  readonly #started_ms: number;

  constructor(context: PhoneWatchContext) {
    this.#context = context;
    const { clock, events, record } = context;
    this.#started_ms = clock.now();
    this.#homecomers = new Homecomers({
      clock,
      bindings: () => context.store.all(),
      stuckAfter_ms: () => context.config().registrar.stuck_after_s * 1000,
      onStuck: ({ binding, why, sip_status }) => {
        const { extension, source, user_agent, since_wall } = this.#of(binding);
        const data = { aor: binding.aor, extension, source, user_agent, since_wall, why, sip_status };
        record(events("phone.stuck", extension ?? binding.aor, data));
      },
      onHome: (binding, after_ms) => {
        const { extension, source } = this.#of(binding);
        record(events("phone.home", extension ?? binding.aor, { aor: binding.aor, extension, source, after_ms }));
      },
      onReturned: (result) => record(events("phones.returned", "", result)),
    });
    this.#availability = new AvailabilityWatch(clock, (what, change) =>
      record(events(`${what}.availability`, change.id, change)),
    );
  }

  /** The bindings of the last run are there. */
  start(): void {
    this.#homecomers.modeIs(this.#context.mode());
    this.#look();
  }

  modeChanged(): void {
    this.#homecomers.modeIs(this.#context.mode());
  }

  bindingChanged(change: BindingChange): void {
    this.#homecomers.bindingChanged(change);
  }

  refused(aor: string, source_address: string, status: number): void {
    this.#homecomers.refused(aor, source_address, status);
  }

  /** To be called about every second. */
  sweep(): void {
    const { alarms, reach, store } = this.#context;
    this.#homecomers.sweep();
    reach.keepOnly((address, port) => store.ofSource(address, port).length > 0);
    this.#look();
    const stuck = this.stuck();
    const named = stuck.slice(0, NAMED_MAX).map(({ name, number, address }) => `${name || number} (${address})`);
    const more = stuck.length > NAMED_MAX ? ` and ${stuck.length - NAMED_MAX} more` : "";
    alarms.set("registrar.phones_stuck", "", stuck.length > 0, `Not back with the cloud: ${named.join(", ")}${more}.`);
  }

  stuck(): readonly StuckPhoneStatus[] {
    const { config } = this.#context;
    return this.#homecomers.stuck().map(({ binding, why, sip_status }) => {
      const { extension: id, source: address, user_agent, since_wall } = this.#of(binding);
      const extension = config().extensions.find((each) => each.id === id);
      const { number = binding.aor, name = "" } = extension ?? {};
      return { extension: id, number, name, address, user_agent, since_wall, why, sip_status };
    });
  }

  /** What the status document says of an extension beside its registrations. */
  statusOf(
    extension: string,
  ): Pick<PhoneStatus, "availability" | "since_wall" | "devices" | "elsewhere" | "expires_wall"> {
    const { store } = this.#context;
    const known = this.#availability.of("extension", extension);
    const aor = this.#context.aors().ofExtension(extension);
    const [first] = store.ofExtension(extension);
    return {
      availability: known?.availability ?? "unknown",
      since_wall: known?.since_wall,
      devices: this.#availability.devicesOf(extension).map(
        ({ id, label, availability, since_wall, evidence, binding }): DeviceStatus => ({
          id,
          label,
          availability,
          since_wall,
          evidence,
          address: binding?.source_address,
          transport: binding?.transport,
          user_agent: binding?.user_agent,
          registered_with:
            binding === undefined || availability === "offline"
              ? undefined
              : binding.held_since_wall === undefined
                ? "cloud"
                : "box",
        }),
      ),
      expires_wall: first === undefined ? undefined : store.expiresWall(first),
      elsewhere: aor === undefined ? 0 : this.#context.elsewhere(aor),
    };
  }

  #look(): void {
    const { clock, store, reach, config, mode, aors, canProve } = this.#context;
    const contacts = new Map<string, readonly ContactFacts[]>();
    for (const { id } of config().extensions) {
      const aor = aors().ofExtension(id);
      if (aor === undefined) continue;
      const facts = store.rememberedOf(aor).map(({ binding, live }): ContactFacts => {
        const { transport: protocol, source_address: address, source_port: port } = binding;
        return {
          binding,
          live,
          overdue_ms: store.overdue_ms(binding),
          unreached: reach.of({ protocol, remote: { address, port } }),
          stuck: this.#homecomers.isStuck(binding),
        };
      });
      contacts.set(id, facts);
    }
    this.#availability.look(
      availabilityOf({
        config: config(),
        now_wall: clock.wall(),
        contacts,
        early: clock.now() - this.#started_ms < EARLY_MS,
        proves: canProve,
        normal: mode() === "normal",
      }),
    );
  }

  #of(binding: Binding) {
    return {
      extension: this.#context.aors().extensionOf(binding.aor),
      source: binding.source_address,
      user_agent: binding.user_agent,
      since_wall: binding.held_since_wall ?? this.#context.clock.wall(),
    };
  }
}
