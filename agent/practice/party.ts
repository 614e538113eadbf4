import type { Clock } from "../base/clock.ts";
import type { OpenMediaSocket } from "../media/datagram.ts";
import type { G711PayloadType } from "../media/g711.ts";
import { type FrameSource, toneFrames } from "../media/playback.ts";
import { UNTIL_STOPPED } from "../media/relay.ts";
import { AudioPort } from "./audio-port.ts";
import type { PartyCall } from "./party-call.ts";
import { addressOf, type ReadAddress } from "./pidf-reader.ts";

/** A call that somebody of the practice site answered, as they had it. */
export interface AnsweredCall {
  /** Who answered: an extension, `psap`, `test`, `outside`. */
  readonly party: string;
  /** How it came: `phone`, or the carrier's face that took it. */
  readonly via: "phone" | "wan" | "lte";
  readonly dialled: string;
  readonly caller: string;
  readonly address: ReadAddress | undefined;
  readonly call: PartyCall;
  readonly at_ms: number;
}

const REMEMBERED = 50;

/** Who answered what lately, so that a rehearsed call can be seen from both of its ends. Nothing of it is kept on disk. */
export class AnsweredCalls {
  readonly #calls: AnsweredCall[] = [];

  add(call: AnsweredCall): void {
    this.#calls.push(call);
    if (this.#calls.length > REMEMBERED) this.#calls.shift();
  }

  since(at_ms: number): readonly AnsweredCall[] {
    return this.#calls.filter((call) => call.at_ms >= at_ms);
  }
}

export interface PartySound {
  readonly clock: Clock;
  readonly address: string;
  readonly open: OpenMediaSocket;
}

/** A steady tone in the code that was negotiated. */
export function voice(frequency_hz: number): (payload: G711PayloadType) => FrameSource {
  return (payload) =>
    toneFrames(
      { kind: "tone", frequencies_hz: [frequency_hz], on_ms: 1000, off_ms: 0, repeat: UNTIL_STOPPED },
      payload,
    );
}

export interface Taking {
  readonly sound: PartySound;
  readonly party: string;
  readonly via: AnsweredCall["via"];
  readonly say: (payload: G711PayloadType) => FrameSource;
  readonly ring_ms: number;
  readonly answered: AnsweredCalls;
}

/** Rings, answers after a while and talks. The caller may give up before that. */
export async function take(call: PartyCall, taking: Taking): Promise<void> {
  const { sound, party, via, say, ring_ms, answered } = taking;
  call.ring();
  let audio: AudioPort;
  try {
    audio = await AudioPort.open(sound.clock, sound.address, sound.open);
  } catch {
    call.refuse(500);
    return;
  }
  sound.clock.after(ring_ms, () => {
    if (call.ended || !call.answer(audio)) {
      audio.close();
      return;
    }
    audio.say(say);
    const { dialled, caller, invite } = call;
    answered.add({ party, via, dialled, caller, address: addressOf(invite), call, at_ms: sound.clock.now() });
  });
}
