import type { TortureMessage } from "./message.ts";
import { INVALID } from "./rfc4475-invalid.ts";
import { SEMANTICS } from "./rfc4475-semantics.ts";
import { VALID } from "./rfc4475-valid.ts";
import { IPV6 } from "./rfc5118.ts";

/** RFC 4475 in its order. */
export const RFC4475: readonly TortureMessage[] = [...VALID, ...INVALID, ...SEMANTICS];
export { IPV6 };

export function row(name: string): TortureMessage {
  const found = [...RFC4475, ...IPV6].find((each) => each.name === name);
  if (found === undefined) throw new Error(`no message ${name}`);
  return found;
}
