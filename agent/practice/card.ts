import { SOFTPHONES } from "./accounts.ts";
import { MAIN_NUMBER, OUTSIDE_NUMBER } from "./places.ts";

export interface CardFacts {
  /** Addresses of the status page. */
  readonly pages: readonly string[];
  /** Where phones register: `address:port`. */
  readonly sip: readonly string[];
  readonly accounts: ReadonlyMap<string, string>;
  /** What is not there or not as usual. */
  readonly notes: readonly string[];
}

/** What a newcomer needs to know, on one small screen. */
export function practiceCard({ pages, sip, accounts, notes }: CardFacts): string {
  const softphones = SOFTPHONES.map((user) => `${user} (password ${accounts.get(user) ?? ""})`).join(", ");
  return [
    "",
    "  PRACTICE: everything is simulated, nothing leaves this machine, 911 is not real.",
    "",
    `  Status page  ${pages.join("  ")}`,
    `  Softphone    server ${sip.join(" or ")}, UDP or TCP, user ${softphones}`,
    "  Dial         101, 102, 103: practice phones.  911: practice PSAP.  933: test number.",
    `               ${MAIN_NUMBER.slice(2)}: this site's main number.  ${OUTSIDE_NUMBER.slice(2)}: somebody outside.`,
    "  Cable        pull and plug the WAN on the page, or: npm run holdfast practice cable pull|plug",
    "  Call         npm run holdfast practice call 101 911",
    ...notes.map((note) => `  Note         ${note}`),
    "",
    "  PRACTICE: Ctrl-C ends it.",
    "",
  ].join("\n");
}
