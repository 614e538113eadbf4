import { computed, effect } from "@preact/signals";
import { render } from "preact";
import { language, words } from "./language.ts";
import { clockOffset, events, heard, line, listen, now, status, tooNew } from "./live/feed.ts";
import { isSilent } from "./live/silence.ts";
import { Page } from "./parts/page.tsx";
import { type Heard, type PageView, pageView } from "./view/page-view.ts";

/** A document that the page cannot make sense of must not leave the last good one standing: all is unknown then. */
function view(): PageView {
  const said: Heard = {
    status: status.value,
    events: events.value,
    now_wall: now.value.wall_ms + clockOffset.value,
    heard_wall: heard.value.wall_ms + clockOffset.value,
    silent: isSilent(heard.value, now.value),
    line: line.value,
  };
  try {
    return pageView(said, words.value);
  } catch (error) {
    console.error(error);
    return pageView({ ...said, status: undefined, events: undefined, silent: true }, words.value);
  }
}

const shown = computed(view);

effect(() => {
  document.documentElement.lang = language.value;
});
effect(() => {
  document.title = shown.value.title;
});

const root = document.getElementById("page");
if (root !== null) {
  root.replaceChildren();
  render(<Page shown={shown} tooNew={tooNew} />, root);
  listen();
}
