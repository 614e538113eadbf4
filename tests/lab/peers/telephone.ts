/** What scenarios ask of any telephone, whichever program it is. */
export interface IncomingCall {
  readonly at: number;
  /** The caller as shown on the telephone. */
  readonly caller: string;
}

export interface Telephone {
  readonly name: string;
  readonly user: string;
  readonly address: string;
  /** The tone it sends in every call. */
  readonly tone_hz: number;
  /** Resolves when it is registered (or is again, after `since`). */
  registered(deadline_ms: number): Promise<void>;
  dial(target: string): Promise<void>;
  /** Waits for it to ring; looks back as far as the last `forget`. */
  ringing(deadline_ms: number): Promise<IncomingCall>;
  answer(): Promise<void>;
  established(deadline_ms: number): Promise<void>;
  hangUp(): Promise<void>;
  /** Waits for the call's end; resolves with the reason the telephone gives. */
  closed(deadline_ms: number): Promise<string>;
  /** The recordings of what it heard, newest last; complete when the call is closed. */
  recordings(): Promise<readonly string[]>;
  /** Forgets past events, before a new call. */
  forget(): void;
  /** Takes its power away. */
  stop(): Promise<void>;
}
