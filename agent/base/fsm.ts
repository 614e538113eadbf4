/**
 * A state machine is a pure function: state and input in, next state and effects out. Timeouts are inputs, and
 * nothing happens inside: the owner carries out the effects. RFC diagrams then read line by line in the code.
 */
export interface Transition<State, Effect> {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export type Machine<State, Input, Effect> = (state: State, input: Input) => Transition<State, Effect>;

/** Next state with what has to be done on the way. */
export function go<State, Effect>(state: State, ...effects: Effect[]): Transition<State, Effect> {
  return { state, effects };
}

/** Holds one machine's state and hands each effect to `perform` after the state has moved. Re-entrant inputs queue. */
export class Runner<State, Input, Effect> {
  #state: State;
  readonly #machine: Machine<State, Input, Effect>;
  readonly #perform: (effect: Effect, state: State) => void;
  readonly #queue: Input[] = [];
  #running = false;

  constructor(machine: Machine<State, Input, Effect>, initial: State, perform: (effect: Effect, state: State) => void) {
    this.#machine = machine;
    this.#state = initial;
    this.#perform = perform;
  }

  get state(): State {
    return this.#state;
  }

  feed(input: Input): void {
    this.#queue.push(input);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        const { state, effects } = this.#machine(this.#state, next);
        this.#state = state;
        for (const effect of effects) this.#perform(effect, state);
      }
    } finally {
      this.#running = false;
    }
  }
}
