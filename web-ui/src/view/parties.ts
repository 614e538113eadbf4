import type { PhoneStatus } from "../../../agent/base/status.ts";
import type { Words } from "../words/words.ts";

/** Longest number that is an extension or a service code, not somebody's public number. */
const SHORT = /^[0-9*#]{1,6}$/;

/**
 * Who a number is, to anybody who looks at the page: a phone of the site by name, a short code as dialled, and no
 * outside number ever. The API hides those from readers without a role; this page hides them from everybody.
 */
export function party(number: string | undefined, phones: readonly PhoneStatus[], { t }: Words): string {
  if (number === undefined || number === "") return t("party.unknown");
  const phone = phones.find((each) => each.number === number || each.extension === number);
  if (phone !== undefined) return phoneName(phone, t);
  return SHORT.test(number) ? number : t("party.outside");
}

/** An extension of the site file by name; by its id while the phones are not known. */
export function extensionName(id: string | undefined, phones: readonly PhoneStatus[], { t }: Words): string {
  if (id === undefined || id === "") return t("party.unknown");
  const phone = phones.find((each) => each.extension === id);
  return phone === undefined ? id : phoneName(phone, t);
}

/** E.164 of the North American plan in groups, to be read aloud; others as they are. */
export function readable(number: string): string {
  return number.replace(/^\+1([2-9][0-9]{2})([0-9]{3})([0-9]{4})$/, "+1 $1 $2 $3");
}

function phoneName({ name, number }: PhoneStatus, t: Words["t"]): string {
  return name === "" || name === number ? number : t("party.phone", { name, number });
}
