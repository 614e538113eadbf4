/**
 * What the sound of calls says of the paths it takes, as a pure machine over what the relay counts. A path whose SIP
 * works may still lose sound, or pass none at all: an ALG, a firewall, a full uplink. One silent call is the far end's
 * business (muted, on hold); several that are silent alike, while nobody is heard, are the path's, unless their far ends
 * say by RTCP that they send nothing.
 */
export interface StreamSample {
  /** The relay's endpoint on the path's side. */
  readonly id: string;
  readonly call_id: string;
  readonly path: string;
  /** RTP packets from beyond the path, and those missing among them. */
  readonly packets_in: number;
  readonly packets_lost: number;
  /** RTP packets from the other side of the bridge. */
  readonly packets_from_partner: number;
  /** RTCP from beyond the path that says: I hear you and send nothing myself. */
  readonly receiver_reports: number;
}

export interface MediaQuality {
  /** Of what should have come in lately; undefined while too little came to tell. */
  readonly loss_percent: number | undefined;
  /** Why sound counts as dead on the path; undefined: it does not. */
  readonly dead: string | undefined;
}

interface Stream {
  readonly sample: StreamSample;
  /** Partner's count when this stream was last heard, or at first sight. */
  readonly partner_when_heard: number;
  readonly silent_since_ms: number;
  /** When the far end last said that it sends nothing. */
  readonly listening_ms: number | undefined;
}

interface PathSound {
  /** Counts of the last seconds. */
  readonly ticks: readonly { readonly at_ms: number; readonly received: number; readonly lost: number }[];
  /** Calls that were never heard, or fell silent together, since anybody was heard: when that was noticed. */
  readonly unheard: ReadonlyMap<string, number>;
}

export interface MediaState {
  readonly streams: ReadonlyMap<string, Stream>;
  readonly paths: ReadonlyMap<string, PathSound>;
}

export const initialMedia: MediaState = { streams: new Map(), paths: new Map() };

/** Four seconds of somebody speaking (20 ms packets) without anything coming back. */
const ONE_SIDED_PACKETS = 200;
/** Calls that fell silent within this time of one another did so for one reason. */
const TOGETHER_MS = 5_000;
const CALLS_TO_CONVICT = 2;
/** Two of RTCP's longest usual intervals (RFC 3550 §6.2). */
const LISTENING_MS = 15_000;
/** What was noticed so long ago says nothing of now. */
const MEMORY_MS = 600_000;
const LOSS_WINDOW_MS = 20_000;
/** Ten seconds of one call. */
const LOSS_MINIMUM_PACKETS = 500;
const NO_SOUND: PathSound = { ticks: [], unheard: new Map() };

/** Takes what the relay counts now; to be fed about every two seconds while there are calls, or were in the last minutes. */
export function observeMedia(before: MediaState, samples: readonly StreamSample[], at_ms: number): MediaState {
  const streams = new Map<string, Stream>();
  const paths = new Map(before.paths);
  const sound = (path: string): PathSound => paths.get(path) ?? NO_SOUND;
  for (const sample of samples) {
    const known = before.streams.get(sample.id);
    const received = Math.max(0, sample.packets_in - (known?.sample.packets_in ?? 0));
    const lost = Math.max(0, sample.packets_lost - (known?.sample.packets_lost ?? 0));
    if (received + lost > 0) {
      const { ticks } = sound(sample.path);
      paths.set(sample.path, { ...sound(sample.path), ticks: [...ticks, { at_ms, received, lost }] });
    }
    streams.set(sample.id, {
      sample,
      partner_when_heard: known === undefined || received > 0 ? sample.packets_from_partner : known.partner_when_heard,
      silent_since_ms: known === undefined || received > 0 ? at_ms : known.silent_since_ms,
      listening_ms: sample.receiver_reports > (known?.sample.receiver_reports ?? 0) ? at_ms : known?.listening_ms,
    });
  }
  for (const path of new Set([...paths.keys(), ...samples.map((sample) => sample.path)])) {
    const own = [...streams.values()].filter((stream) => stream.sample.path === path);
    const judged = judge(sound(path), own, at_ms);
    if (judged.ticks.length > 0 || judged.unheard.size > 0) paths.set(path, judged);
    else paths.delete(path);
  }
  return { streams, paths };
}

function judge(sound: PathSound, streams: readonly Stream[], at_ms: number): PathSound {
  const ticks = sound.ticks.filter((tick) => at_ms - tick.at_ms < LOSS_WINDOW_MS);
  if (sound.ticks.some((tick) => tick.at_ms === at_ms && tick.received > 0)) return { ticks, unheard: new Map() };
  const unheard = new Map([...sound.unheard].filter(([, noticed_ms]) => at_ms - noticed_ms < MEMORY_MS));
  const listens = ({ listening_ms }: Stream) => listening_ms !== undefined && at_ms - listening_ms < LISTENING_MS;
  for (const stream of streams) if (listens(stream)) unheard.delete(stream.sample.call_id);
  const oneSided = streams.filter(
    (stream) => !listens(stream) && stream.sample.packets_from_partner - stream.partner_when_heard >= ONE_SIDED_PACKETS,
  );
  for (const stream of oneSided) {
    const never = stream.sample.packets_in === 0;
    const together = oneSided.some(
      (other) =>
        other.sample.call_id !== stream.sample.call_id &&
        Math.abs(other.silent_since_ms - stream.silent_since_ms) <= TOGETHER_MS,
    );
    if (never || together) unheard.set(stream.sample.call_id, at_ms);
  }
  return { ticks, unheard };
}

/** The judgement on one path. */
export function mediaQuality(state: MediaState, path: string): MediaQuality {
  const { ticks, unheard } = state.paths.get(path) ?? NO_SOUND;
  const received = ticks.reduce((sum, tick) => sum + tick.received, 0);
  const lost = ticks.reduce((sum, tick) => sum + tick.lost, 0);
  return {
    loss_percent: received + lost < LOSS_MINIMUM_PACKETS ? undefined : (100 * lost) / (received + lost),
    dead: unheard.size < CALLS_TO_CONVICT ? undefined : `no sound came back in ${unheard.size} calls`,
  };
}
