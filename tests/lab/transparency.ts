/**
 * Transparency, judged by what the wire shows: every message that passes between telephones and cloud has a twin on the
 * other side of the box, and the two differ in nothing but what a proxy must touch (RFC 3261 §16.6) and where media goes.
 */
import { lan, uplink } from "./addresses.ts";
import { bodyParts, header, headers, type SeenMessage } from "./capture/sip.ts";
import { AwaitedTooLong, now, until } from "./deadline.ts";
import type { Lab } from "./lab.ts";
import { expect } from "./scenario.ts";

/** One message as it came to the box and as it left it. */
export interface Passage {
  /** `INVITE`, `183 INVITE`, … */
  readonly label: string;
  /** From the telephones' side to the cloud's, or the other way. */
  readonly direction: "out" | "in";
  readonly received: SeenMessage;
  readonly sent: SeenMessage;
}

export interface Passages {
  readonly passed: readonly Passage[];
  /** What came and did not go on, and what the box said by itself: messages of a call that have no twin. */
  readonly alone: readonly SeenMessage[];
}

/** Those of the two sides of the box, each in the order of the wire. */
export interface Sides {
  readonly lan: readonly SeenMessage[];
  readonly wan: readonly SeenMessage[];
}

/** The box's own: towards the telephones, and towards the cloud where it has a port of its own for that. */
const BOX: readonly string[] = [lan.box, uplink.box];
const BOX_PATTERN = `(?:${BOX.map((address) => address.replaceAll(".", "\\.")).join("|")})`;
const NAMES_BOX = new RegExp(`(?<![\\d.])${BOX_PATTERN}(?![\\d.])`);

const hostOf = (end: string): string => end.slice(0, end.lastIndexOf(":"));

/** Splits a header's comma list outside of quotes and angle brackets. */
function elements(message: SeenMessage, name: string): string[] {
  return headers(message, name)
    .flatMap((value) => value.match(/(?:"(?:\\.|[^"\\])*"|<[^>]*>|[^,])+/g) ?? [])
    .map((each) => each.trim());
}

const branches = (message: SeenMessage): string[] =>
  elements(message, "via").map((via) => via.match(/;\s*branch=([^;\s]+)/i)?.[1] ?? "");

const tagIn = (value: string | undefined): string => value?.match(/;\s*tag=([^;\s]+)/i)?.[1] ?? "";

export const tagOf = (message: SeenMessage, name: "from" | "to"): string => tagIn(header(message, name));

const methodOf = (message: SeenMessage): string => message.method ?? header(message, "cseq")?.split(/\s+/)[1] ?? "";

export const labelOf = (message: SeenMessage): string =>
  message.status === undefined ? methodOf(message) : `${message.status} ${methodOf(message)}`;

/** What is the same in a message and its twin, but for the place in Via where the branch stands. */
function identity(message: SeenMessage, branch: string): string {
  return [
    labelOf(message),
    branch,
    header(message, "call-id"),
    header(message, "cseq"),
    // Forks differ by their To tag, reliable provisionals by their RSeq, answers otherwise the same by neither.
    tagOf(message, "to"),
    header(message, "rseq") ?? "",
  ].join(" | ");
}

/**
 * RFC 3261 §16: each hop answers 100, takes back CANCEL and acknowledges non-2xx by itself. Registration is another story,
 * and so is a registration over a connection that is gone: a request for it ends here with 430 (RFC 5626 §5.3.1).
 */
function isHopByHop(
  message: SeenMessage,
  inviteBranches: ReadonlySet<string>,
  failedFlows: ReadonlySet<string>,
): boolean {
  const method = methodOf(message);
  if (failedFlows.has(branches(message)[0] ?? "")) return true;
  if (message.status === 100 || method === "CANCEL" || method === "REGISTER") return true;
  return method === "ACK" && inviteBranches.has(branches(message)[0] ?? "");
}

/** Finds each message's twin by the branch of the Via below the box's own. */
export function pair({ lan: inner, wan: outer }: Sides): Passages {
  const all = [...inner, ...outer];
  const invites = new Set(all.filter(({ method }) => method === "INVITE").map((invite) => branches(invite)[0] ?? ""));
  const failedFlows = new Set(
    outer
      .filter(({ status, from }) => status === 430 && BOX.includes(hostOf(from)))
      .map((each) => branches(each)[0] ?? ""),
  );
  const relevant = (side: readonly SeenMessage[]) =>
    side.filter((message) => !isHopByHop(message, invites, failedFlows));
  const passed: Passage[] = [];
  const twinned = new Set<SeenMessage>();
  const match = (near: readonly SeenMessage[], far: readonly SeenMessage[], nearSide: "lan" | "wan") => {
    const byIdentity = new Map<string, SeenMessage[]>();
    for (const message of far) {
      const key = identity(message, branches(message)[1] ?? "");
      byIdentity.set(key, [...(byIdentity.get(key) ?? []), message]);
    }
    for (const message of near) {
      const twins = byIdentity.get(identity(message, branches(message)[0] ?? ""));
      if (twins === undefined) continue;
      // A repetition that the box took care of has the same twin as the first.
      const twin = twins.find((each) => !twinned.has(each)) ?? twins.at(-1);
      if (twin === undefined) continue;
      const request = message.status === undefined;
      const [received, sent] = request ? [message, twin] : [twin, message];
      const direction = (nearSide === "lan") === request ? "out" : "in";
      if (!twinned.has(twin)) passed.push({ label: labelOf(message), direction, received, sent });
      twinned.add(message);
      for (const each of twins) if (each === twin || sameText(each, twin)) twinned.add(each);
    }
  };
  const [innerRelevant, outerRelevant] = [relevant(inner), relevant(outer)];
  match(innerRelevant, outerRelevant, "lan");
  match(outerRelevant, innerRelevant, "wan");
  passed.sort((a, b) => a.received.at - b.received.at);
  const alone = [innerRelevant, outerRelevant].flatMap((side) =>
    side.filter((message) => !twinned.has(message) && !isOvertaken(message, side)),
  );
  return { passed, alone };
}

/** A busy PBX may send a provisional after the final: it goes no further (RFC 3261 §16.7 step 5). */
function isOvertaken(message: SeenMessage, side: readonly SeenMessage[]): boolean {
  const { status, to } = message;
  if (status === undefined || status >= 200) return false;
  const own = branches(message)[0];
  return side.some(
    (each) => each.at <= message.at && (each.status ?? 0) >= 200 && each.to === to && branches(each)[0] === own,
  );
}

const sameText = (a: SeenMessage, b: SeenMessage): boolean =>
  a.start === b.start && JSON.stringify(a.headers) === JSON.stringify(b.headers) && a.body.equals(b.body);

const TOUCHED_IN_REQUESTS: ReadonlySet<string> = new Set([
  "via",
  "max-forwards",
  "route",
  "record-route",
  "content-length",
]);
const TOUCHED_IN_RESPONSES: ReadonlySet<string> = new Set(["via", "content-length"]);

/** In what a message left the box otherwise than it came, beyond what a proxy with anchored media may do; empty: in nothing. */
export function differences({ received, sent }: Pick<Passage, "received" | "sent">): string[] {
  const found: string[] = [];
  const same = (what: string, before: string, after: string) => {
    if (before !== after) found.push(`${what}: ${JSON.stringify(before)} became ${JSON.stringify(after)}`);
  };
  const request = received.status === undefined;
  same("start line", received.start, sent.start);
  const untouchable = request ? TOUCHED_IN_REQUESTS : TOUCHED_IN_RESPONSES;
  const kept = (message: SeenMessage) => message.headers.filter(([name]) => !untouchable.has(name));
  const [before, after] = [kept(received), kept(sent)];
  for (let n = 0; n < Math.max(before.length, after.length); n++) {
    same(`header ${n + 1}`, (before[n] ?? ["none"]).join(": "), (after[n] ?? ["none"]).join(": "));
  }
  if (request) {
    same(
      "Max-Forwards, one less",
      String(Number(header(received, "max-forwards")) - 1),
      header(sent, "max-forwards") ?? "",
    );
    found.push(...changedAtTop("Via", elements(sent, "via"), elements(received, "via"), 1, sameVia));
    found.push(...changedAtTop("Record-Route", elements(sent, "record-route"), elements(received, "record-route"), 2));
    // Three, where the PBX laid the Path of the registration over the Route of the dialog.
    found.push(...changedAtTop("Route", elements(received, "route"), elements(sent, "route"), 3));
    const left = elements(sent, "route")[0];
    if (left !== undefined && NAMES_BOX.test(left)) found.push(`Route: the box left its own ${left} in it`);
  } else found.push(...changedAtTop("Via", elements(received, "via"), elements(sent, "via"), 1, sameVia));
  found.push(...changedBody(received, sent));
  return found;
}

/** The receiver adds `received` and fills in `rport` (RFC 3261 §18.2.1, RFC 3581). */
const sameVia = (one: string, other: string): boolean => {
  const bare = (via: string) => via.replace(/;\s*(?:received|rport)(?:=[^;]*)?/gi, "").replace(/\s+/g, " ");
  return bare(one) === bare(other);
};

/** `longer` must be at most `own` elements that name the box, and then `shorter`. */
function changedAtTop(
  name: string,
  longer: readonly string[],
  shorter: readonly string[],
  own: number,
  equal: (a: string, b: string) => boolean = (a, b) => a === b,
): string[] {
  const added = longer.length - shorter.length;
  const top = longer.slice(0, Math.max(0, added));
  const rest = longer.slice(Math.max(0, added));
  const asItWas = added >= 0 && rest.every((element, n) => equal(element, shorter[n] ?? ""));
  const ours = added <= own && top.every((element) => NAMES_BOX.test(element));
  return asItWas && ours ? [] : [`${name}: ${longer.join(", ")} and ${shorter.join(", ")}`];
}

function changedBody(received: SeenMessage, sent: SeenMessage): string[] {
  const [before, after] = [bodyParts(received), bodyParts(sent)];
  if (before.length !== after.length) return [`the body had ${before.length} parts and has ${after.length}`];
  return before.flatMap((part, n) => {
    const now = after[n];
    if (now === undefined || part.head !== now.head) return [`body part ${n + 1} was ${part.head}, is ${now?.head}`];
    // A description beside offer and answer, as in the answer to OPTIONS, leads no media anywhere.
    const session = /^(?:INVITE|ACK|PRACK|UPDATE)$/.test(methodOf(received));
    if (session && part.type.startsWith("application/sdp")) return changedSdp(part.text, now.text);
    return part.bytes.equals(now.bytes) ? [] : [`the body changed: ${part.text} became ${now.text}`];
  });
}

/** Only c=, the port of m=, and a=rtcp may differ; where media is wanted they must lead to the box. */
export function changedSdp(before: string, after: string): string[] {
  const anchored = new RegExp(` (?:0\\.0\\.0\\.0|${BOX_PATTERN})$`);
  const [were, are] = [before.split("\r\n"), after.split("\r\n")];
  if (were.length !== are.length) return [`SDP had ${were.length} lines and has ${are.length}`];
  return were.flatMap((was, n) => {
    const is = are[n] ?? "";
    if (was === is) return was.startsWith("c=") && !anchored.test(was) ? [`not anchored: ${was}`] : [];
    const moved =
      (/^c=IN IP4 /.test(was) && BOX.some((address) => is === `c=IN IP4 ${address}`)) ||
      (was.startsWith("m=") && withoutPort(was) === withoutPort(is)) ||
      (was.startsWith("a=rtcp:") && is.startsWith("a=rtcp:"));
    return moved ? [] : [`SDP: ${JSON.stringify(was)} became ${JSON.stringify(is)}`];
  });
}

/** Any port is as good as another, but 0, which refuses the media (RFC 3264 §6), is none. */
const withoutPort = (line: string): string => line.replace(/^(m=\S+ )0*[1-9]\d*/, "$1N");

/** Watches what passes from now on. */
export class Watch {
  readonly #lab: Lab;
  readonly #marks: { readonly lan: number; readonly wan: number };

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#marks = { lan: lab.captures.lan.messages.mark, wan: lab.captures.wan.messages.mark };
  }

  /** Messages between telephones of the switch and the box, in the order of the wire. */
  get lan(): readonly SeenMessage[] {
    const near = (end: string) => {
      const host = hostOf(end);
      return host.startsWith("10.77.1.") && host !== lan.box && host !== lan.router;
    };
    return this.#lab.captures.lan.messages.since(this.#marks.lan).filter(({ from, to }) => near(from) || near(to));
  }

  /** Messages between box and cloud; the box's own probes and registrations are not among them. */
  get wan(): readonly SeenMessage[] {
    const calls = new Set(this.lan.map((message) => header(message, "call-id")));
    return this.#lab.captures.wan.messages
      .since(this.#marks.wan)
      .filter(
        (message) =>
          (BOX.includes(hostOf(message.from)) || BOX.includes(hostOf(message.to))) &&
          calls.has(header(message, "call-id")),
      );
  }

  get passages(): Passages {
    return pair({ lan: this.lan, wan: this.wan });
  }

  /** The first message of a kind that passed; fails after `deadline_ms`. */
  async passage(
    label: string,
    deadline_ms = 3000,
    where: (passage: Passage) => boolean = () => true,
  ): Promise<Passage> {
    return until(`${label} to pass the box`, deadline_ms, () =>
      this.passages.passed.find((passage) => passage.label === label && where(passage)),
    );
  }

  /** Resolves when nothing has passed for so long. */
  async quiet(ms: number): Promise<void> {
    const newest = () => Math.max(...[...this.lan, ...this.wan].map(({ at }) => at), 0);
    await until(`${ms} ms without a message`, 10_000, () => now() - newest() > ms || undefined);
  }

  /** Fails unless each of these passed, everything that came went on, and nothing was changed on its way. */
  async unchanged(...labels: readonly string[]): Promise<void> {
    await this.#lab.step("every message passed the box as it was", async () => {
      for (const label of labels) await this.passage(label);
      try {
        // The last message's twin may be on its way still.
        await until("nothing to be left", 500, () => (this.passages.alone.length === 0 ? true : undefined));
      } catch (error) {
        if (!(error instanceof AwaitedTooLong)) throw error;
      }
      const { passed, alone } = this.passages;
      const shown = alone.map((message) => `${labelOf(message)} ${message.from} → ${message.to}`);
      expect(shown.length === 0, `these have no twin on the other side of the box: ${shown.join("; ")}`);
      const changed = passed.flatMap((passage) =>
        differences(passage).map((difference) => `${passage.label} (${passage.direction}): ${difference}`),
      );
      expect(changed.length === 0, `the box changed more than it may:\n${changed.join("\n")}`);
      this.#lab.timeline.note(`${passed.length} messages, unchanged`);
    });
  }
}
