import type { ComponentChildren } from "preact";
import type { SignalTile } from "../view/surroundings.ts";
import type { Text, Tile } from "../view/text.ts";
import { Icon, SignalBars } from "./icon.tsx";

/** A text of the box's own is English, whatever the page speaks. */
export function Said({ text, verbatim }: Text) {
  return <span {...(verbatim === true ? { lang: "en" } : {})}>{text}</span>;
}

interface TileProps {
  readonly id: string;
  readonly tile: Tile;
  readonly big?: boolean;
  readonly children?: ComponentChildren;
}

export function TileCard({ id, tile, big = false, children }: TileProps) {
  return (
    <section class={`tile ${big ? "big" : "small"} tone-${tile.tone}`} aria-labelledby={`${id}-title`} id={id}>
      <h2 id={`${id}-title`}>{tile.title}</h2>
      <p class="headline">
        <Icon tone={tile.tone} />
        <span>{tile.headline}</span>
      </p>
      {tile.lines.map((line, index) => (
        <p class="line" key={index}>
          <Said {...line} />
        </p>
      ))}
      {children}
    </section>
  );
}

export function AddressCard({ id, tile }: { id: string; tile: Tile }) {
  if (tile.tone !== "quiet") return <TileCard id={id} tile={tile} big />;
  return (
    <section class="tile big tone-quiet" aria-labelledby={`${id}-title`} id={id}>
      <h2 id={`${id}-title`}>{tile.title}</h2>
      <address lang="en">
        <span class="headline">{tile.headline}</span>
        {tile.lines
          .filter(({ verbatim }) => verbatim === true)
          .map(({ text }) => (
            <span class="address-line" key={text}>
              {text}
            </span>
          ))}
      </address>
      {tile.lines
        .filter(({ verbatim }) => verbatim !== true)
        .map(({ text }) => (
          <p class="faint note" key={text}>
            {text}
          </p>
        ))}
    </section>
  );
}

export function SignalCard({ id, tile }: { id: string; tile: SignalTile }) {
  return (
    <TileCard id={id} tile={tile}>
      {tile.bars === undefined ? null : <SignalBars bars={tile.bars} />}
    </TileCard>
  );
}
