import { isToken, quote, splitOutside, unquote } from "./syntax.ts";

/** One `name[=value]`; the value is kept as written, quotes and escapes included. */
export interface Param {
  readonly name: string;
  readonly value?: string;
}

/** Parameters in their order (RFC 3261 §7.3.1). Names compare without regard to case. */
export type Params = readonly Param[];

/**
 * Reads `;a=b;c` (the first semicolon may be missing). Empty parameters (";;") are skipped, as phones send them;
 * undefined when a name is not a word or a quoted value is followed by more text.
 */
export function parseParams(text: string): Params | undefined {
  if (text === "") return [];
  const params: Param[] = [];
  for (const piece of splitOutside(text, ";")) {
    if (piece === "") continue;
    const equal = piece.indexOf("=");
    const name = equal < 0 ? piece : piece.slice(0, equal).trimEnd();
    if (!isParamName(name)) return undefined;
    if (equal < 0) {
      params.push({ name });
      continue;
    }
    const value = piece.slice(equal + 1).trimStart();
    if (!isParamValue(value)) return undefined;
    params.push({ name, value });
  }
  return params;
}

const NAME = /^[^\s"<>=,;@\\]+$/;

// URI parameter names may hold escapes, brackets and colons that tokens may not (§25.1 paramchar).
function isParamName(name: string): boolean {
  return isToken(name) || NAME.test(name);
}

const UNQUOTED = /^[^\s"<>,;\\]*$/;
const QUOTED = /^"(?:[^"\\]|\\[\s\S])*"$/;

function isParamValue(value: string): boolean {
  return value.charCodeAt(0) === 0x22 ? QUOTED.test(value) : UNQUOTED.test(value);
}

export function printParams(params: Params): string {
  let text = "";
  for (const { name, value } of params) text += value === undefined ? `;${name}` : `;${name}=${value}`;
  return text;
}

function find(params: Params, name: string): Param | undefined {
  for (const param of params) if (param.name === name) return param;
  const lower = name.toLowerCase();
  for (const param of params) if (param.name.toLowerCase() === lower) return param;
  return undefined;
}

export function hasParam(params: Params, name: string): boolean {
  return find(params, name) !== undefined;
}

/** The value without its quotes; "" for a parameter without a value; undefined when it is not there. */
export function paramValue(params: Params, name: string): string | undefined {
  const param = find(params, name);
  return param === undefined ? undefined : unquote(param.value ?? "");
}

/** Sets a parameter in its place, or adds it at the end. A value that is not plain is quoted. */
export function withParam(params: Params, name: string, value?: string): Params {
  const lower = name.toLowerCase();
  const param: Param = value === undefined ? { name } : { name, value: isParamValue(value) ? value : quote(value) };
  let placed = false;
  const out: Param[] = [];
  for (const old of params) {
    if (old.name.toLowerCase() !== lower) out.push(old);
    else if (!placed) {
      out.push(param);
      placed = true;
    }
  }
  if (!placed) out.push(param);
  return out;
}

export function withoutParam(params: Params, name: string): Params {
  const lower = name.toLowerCase();
  return params.filter((param) => param.name.toLowerCase() !== lower);
}
