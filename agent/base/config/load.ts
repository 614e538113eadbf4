import { readFileSync } from "node:fs";
import { Ajv, type ErrorObject } from "ajv";
import { isMap, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import { HoldfastError } from "../errors.ts";
import { withCanonicalAddresses } from "./canonical-addresses.ts";
import { crossReferences } from "./cross-references.ts";
import { SiteConfig } from "./schema.ts";

/** One fault in a site file: where it stands, what was found, what is allowed. */
export interface ConfigFault {
  readonly file: string;
  /** 1-based; 0 when the fault is of the file as a whole. */
  readonly line: number;
  /** Dotted path, list items by their id where they have one: `trunks[lte-trunk].port`. */
  readonly key: string;
  readonly found: string;
  readonly allowed: string;
}

export type LoadResult =
  | {
      readonly ok: true;
      readonly config: SiteConfig;
      /** Where a key of it stands, for faults that are found later. */
      place(path: readonly (string | number)[]): Pick<ConfigFault, "file" | "line" | "key">;
    }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] };

const ajv = new Ajv({ allErrors: true, useDefaults: true, strict: false });
const validate = ajv.compile<SiteConfig>(SiteConfig);

/** One line per fault, for a terminal. */
export function faultText(fault: ConfigFault): string {
  const where = fault.line > 0 ? `${fault.file}:${fault.line}` : fault.file;
  return `${where}: ${fault.key}: found ${fault.found}; allowed: ${fault.allowed}`;
}

/** Reads and validates a site file. Faults are returned, all of them; nothing is thrown. */
export function loadConfig(file: string): LoadResult {
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : `unreadable (${String(error)})`;
    return { ok: false, faults: [{ file, line: 0, key: "(file)", found, allowed: "a readable site file" }] };
  }
  return parseConfig(source, file);
}

/** The same, from text. `file` is used in faults only. */
export function parseConfig(source: string, file: string): LoadResult {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, maxAliasCount: 20 } as object);
  if (document.errors.length > 0) {
    return {
      ok: false,
      faults: document.errors.map((error) => ({
        file,
        line: lines.linePos(error.pos[0]).line,
        key: "(syntax)",
        found: error.message.split("\n")[0] ?? error.message,
        allowed: "well-formed YAML",
      })),
    };
  }
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 20 });
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return { ok: false, faults: [{ file, line: 0, key: "(syntax)", found, allowed: "well-formed YAML" }] };
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    const found = data === null || data === undefined ? "an empty file" : show(data);
    return { ok: false, faults: [{ file, line: 1, key: "(file)", found, allowed: "a map with v, org, site, box, …" }] };
  }
  const at = (path: readonly (string | number)[]): number => {
    for (let length = path.length; length >= 0; length--) {
      const node = document.getIn(path.slice(0, length), true) as Node | undefined;
      const parent = length > 0 ? document.getIn(path.slice(0, length - 1), true) : undefined;
      const pair = isMap(parent)
        ? parent.items.find((item) => isScalar(item.key) && item.key.value === path[length - 1])
        : undefined;
      const range = (isScalar(pair?.key) ? pair.key.range : undefined) ?? node?.range;
      if (range) return lines.linePos(range[0]).line;
    }
    return 0;
  };
  const faults: ConfigFault[] = [];
  if (!validate(data)) {
    for (const error of distinct(validate.errors ?? [])) {
      const path = pointer(error);
      faults.push({ file, line: at(path), key: keyText(path, data), ...describe(error, path, data) });
    }
    if (faults.length > 0) return { ok: false, faults: faults.sort((a, b) => a.line - b.line) };
  }
  const config = data as SiteConfig;
  for (const fault of crossReferences(config)) {
    faults.push({
      file,
      line: at(fault.path),
      key: keyText(fault.path, data),
      found: fault.found,
      allowed: fault.allowed,
    });
  }
  if (faults.length > 0) return { ok: false, faults };
  return {
    ok: true,
    config: deepFreeze(withCanonicalAddresses(config)),
    place: (path) => ({ file, line: at(path), key: keyText(path, data) }),
  };
}

/** For callers that want the config or an exception with every fault in its text. */
export function requireConfig(file: string): SiteConfig {
  const result = loadConfig(file);
  if (result.ok) return result.config;
  throw new HoldfastError("config.invalid", `${result.faults.map(faultText).join("\n")}\n`);
}

function distinct(errors: readonly ErrorObject[]): ErrorObject[] {
  // A failed union reports each branch and then itself; the union's own line says all that is needed.
  const unions = errors.filter((error) => error.keyword === "anyOf").map((error) => error.instancePath);
  return errors.filter((error) => error.keyword === "anyOf" || !unions.includes(error.instancePath));
}

function pointer(error: ErrorObject): (string | number)[] {
  const path = error.instancePath
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^[0-9]+$/.test(part) ? Number(part) : part));
  if (error.keyword === "required") path.push(String(error.params.missingProperty));
  if (error.keyword === "additionalProperties") path.push(String(error.params.additionalProperty));
  return path;
}

function valueAt(path: readonly (string | number)[], data: unknown): unknown {
  let value = data;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

function keyText(path: readonly (string | number)[], data: unknown): string {
  let text = "";
  path.forEach((part, i) => {
    if (typeof part === "number") {
      const item = valueAt(path.slice(0, i + 1), data);
      const name = typeof item === "object" && item !== null && "id" in item ? String(item.id) : String(part);
      text += `[${name}]`;
    } else text += text === "" ? part : `.${part}`;
  });
  return text === "" ? "(file)" : text;
}

function describe(
  error: ErrorObject,
  path: readonly (string | number)[],
  data: unknown,
): { found: string; allowed: string } {
  switch (error.keyword) {
    case "required":
      return { found: "nothing", allowed: "this key is needed" };
    case "additionalProperties": {
      const parent = schemaKeys(path.slice(0, -1));
      return { found: "a key that is not known", allowed: parent.length > 0 ? parent.join(", ") : "no such key" };
    }
    case "anyOf":
      return { found: show(valueAt(path, data)), allowed: literals(path) };
    case "pattern":
      return {
        found: show(valueAt(path, data)),
        allowed: patternText(path) ?? `text like ${String(error.params.pattern)}`,
      };
    default:
      return { found: show(valueAt(path, data)), allowed: (error.message ?? "").replace(/^must (be )?/, "") };
  }
}

interface SchemaNode {
  properties?: Record<string, SchemaNode>;
  items?: SchemaNode;
  anyOf?: { const?: unknown }[];
  description?: string;
}

function schemaAt(path: readonly (string | number)[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = SiteConfig as unknown as SchemaNode;
  for (const part of path) node = typeof part === "number" ? node?.items : node?.properties?.[part];
  return node;
}

function schemaKeys(path: readonly (string | number)[]): string[] {
  return Object.keys(schemaAt(path)?.properties ?? {});
}

function literals(path: readonly (string | number)[]): string {
  return (schemaAt(path)?.anyOf ?? []).map((branch) => String(branch.const)).join(", ");
}

function patternText(path: readonly (string | number)[]): string | undefined {
  return schemaAt(path)?.description;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
