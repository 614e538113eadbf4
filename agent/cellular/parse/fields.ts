/** Values of an AT information line (3GPP TS 27.007): comma-separated, strings in double quotes, empty where left out. */
export interface Field {
  readonly text: string;
  readonly quoted: boolean;
}

const FIELDS_MAX = 32;

/** The fields of `+NAME: a,"b, c",,d` when the line has that name; undefined when it has not, or a quote is left open. */
export function fieldsOf(name: string, line: string): Field[] | undefined {
  if (!line.startsWith(`${name}:`)) return undefined;
  const fields: Field[] = [];
  let rest = line.slice(name.length + 1).trim();
  for (;;) {
    if (fields.length >= FIELDS_MAX) return undefined;
    if (rest.startsWith('"')) {
      const end = rest.indexOf('"', 1);
      if (end < 0) return undefined;
      fields.push({ text: rest.slice(1, end), quoted: true });
      rest = rest.slice(end + 1).trimStart();
      if (rest === "") return fields;
      if (!rest.startsWith(",")) return undefined;
      rest = rest.slice(1).trimStart();
    } else {
      const end = rest.indexOf(",");
      fields.push({ text: (end < 0 ? rest : rest.slice(0, end)).trim(), quoted: false });
      if (end < 0) return fields;
      rest = rest.slice(end + 1).trimStart();
    }
  }
}

/** An unquoted decimal number, sign allowed, within the bounds; else undefined. */
export function numberOf(field: Field | undefined, low: number, high: number): number | undefined {
  if (field === undefined || field.quoted || !/^-?[0-9]{1,9}$/.test(field.text)) return undefined;
  const value = Number(field.text);
  return value >= low && value <= high ? value : undefined;
}
