/** Who hears whom at a moment, judged on the wire before each telephone. */
import { lan, tones_hz } from "../../addresses.ts";
import type { Heard } from "../../audio.ts";
import type { Capture, Ear } from "../../capture/capture.ts";
import { now, sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import type { Telephone } from "../../peers/telephone.ts";
import { expect } from "../../scenario.ts";

/** How long is listened for one judgement. */
export const LISTEN_MS = 800;

export class Sounds {
  readonly #lab: Lab;
  readonly #ears: ReadonlyMap<Telephone, Ear>;

  /** `ports`: captures of the switch's ports, for sound that does not come by the box. */
  constructor(lab: Lab, listeners: readonly Telephone[], ports?: ReadonlyMap<Telephone, Capture>) {
    this.#lab = lab;
    const ear = (phone: Telephone) =>
      ports?.get(phone)?.listen(undefined, phone.address) ?? lab.captures.lan.listen(lan.box, phone.address);
    this.#ears = new Map(listeners.map((phone) => [phone, ear(phone)]));
  }

  /** Fails unless in the next `LISTEN_MS` each listener is sent the tone of that speaker alone; undefined: of nobody. */
  async hears(...wanted: readonly (readonly [listener: Telephone, speaker: Telephone | undefined])[]): Promise<void> {
    const start = now();
    await sleep(LISTEN_MS);
    for (const [listener, speaker] of wanted) {
      const heard = this.#ears.get(listener)?.heard(start, now(), tones_hz);
      const told = inWords(heard);
      const right = speaker === undefined ? heard?.ms_by_tone.size === 0 : onlyTone(heard, speaker);
      expect(right, `${listener.name} must hear ${speaker?.name ?? "nobody"}; it is sent ${told}`);
      this.#lab.timeline.note(`${listener.name} is sent ${told}`);
    }
  }

  /** Whom a listener has heard in the last `LISTEN_MS`, of several that it may. */
  async whom(listener: Telephone, speakers: readonly Telephone[]): Promise<Telephone> {
    const start = now();
    await sleep(LISTEN_MS);
    const heard = this.#ears.get(listener)?.heard(start, now(), tones_hz);
    const speaker = speakers.find((each) => onlyTone(heard, each));
    expect(speaker !== undefined, `${listener.name} must hear one of them; it is sent ${inWords(heard)}`);
    this.#lab.timeline.note(`${listener.name} hears ${speaker.name}`);
    return speaker;
  }

  stop(): void {
    for (const ear of this.#ears.values()) ear.stop();
  }
}

const onlyTone = (heard: Heard | undefined, { tone_hz }: Telephone): boolean =>
  heard !== undefined && heard.ms_by_tone.size === 1 && (heard.ms_by_tone.get(tone_hz) ?? 0) >= LISTEN_MS / 2;

const inWords = (heard: Heard | undefined): string =>
  [...(heard?.ms_by_tone ?? [])].map(([hz, ms]) => `${hz} Hz for ${ms} ms`).join(", ") || "no tone";

/** A call that is answered at once; `target`: what is dialled, where it is not the callee's number. */
export async function connect(caller: Telephone, callee: Telephone, target = callee.user): Promise<void> {
  await caller.dial(target);
  await callee.ringing(3000);
  await callee.answer();
  await Promise.all([caller.established(3000), callee.established(3000)]);
}
