import type { Tone } from "../view/text.ts";

const SHAPES: Readonly<Record<Tone, string>> = {
  good: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1.4 14.2L6.4 12l1.5-1.5 2.7 2.7 5.5-5.5L17.6 9.2Z",
  warn: "M12 2 1 21.5h22ZM11 9.5h2v6h-2Zm0 7.5h2v2h-2Z",
  bad: "M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9Zm.6 5L7 8.5l3.5 3.5L7 15.5 8.5 17l3.5-3.5 3.5 3.5 1.5-1.5-3.5-3.5L17 8.5 15.5 7 12 10.5Z",
  unknown:
    "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1 14.5h2v2h-2Zm1-11a4 4 0 0 1 4 4c0 2.5-3 2.7-3 5h-2c0-3.3 3-3.2 3-5a2 2 0 0 0-4 0H8a4 4 0 0 1 4-4Z",
  quiet: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1 4.5h2v2h-2Zm0 4h2v7h-2Z",
};

/** A shape for each tone, so that no one needs the colour. The word always stands beside it. */
export function Icon({ tone }: { tone: Tone }) {
  return (
    <svg class={`icon tone-${tone}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path fill-rule="evenodd" d={SHAPES[tone]} />
    </svg>
  );
}

/** Four bars; the text beside them says the same. */
export function SignalBars({ bars }: { bars: number }) {
  return (
    <svg class="bars" viewBox="0 0 32 24" aria-hidden="true" focusable="false">
      {[1, 2, 3, 4].map((bar) => (
        <rect
          key={bar}
          class={bar <= bars ? "bar lit" : "bar"}
          x={1 + (bar - 1) * 8}
          y={23 - bar * 5.4}
          width="6"
          height={bar * 5.4}
          rx="1"
        />
      ))}
    </svg>
  );
}
