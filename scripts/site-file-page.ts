import { writeFileSync } from "node:fs";
import { SiteConfig } from "../agent/base/config/schema.ts";

/** docs/site-file.md is made of the schema; a test holds them equal. Run this file to write the page anew. */
interface Node {
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly "x-restart"?: boolean;
}

const HEAD = `# The site file

One YAML file describes a site. \`holdfast check --config site.yaml\` names each error with file, line, key, what was found
and what is allowed. A complete example is \`tests/fixtures/site.yaml\`.

Keys end in their unit. Numbers that people dial are strings in quotes; public ones are E.164. Lists are keyed by \`id\`:
lower-case letters, digits and hyphens. A change applies while calls run, except where the table says that it waits for an
idle moment. Passwords stand in this file: keep it readable to the box's user alone.

| Key | What it is | Allowed | Default |
| --- | --- | --- | --- |
`;

export function siteFilePage(): string {
  return (
    HEAD +
    rows("", SiteConfig as unknown as Node, false)
      .join("\n")
      .concat("\n")
  );
}

function rows(prefix: string, node: Node, waits: boolean): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const needed = node.required?.includes(name) === true && child.default === undefined;
    const key = prefix === "" ? name : `${prefix}.${name}`;
    const later = waits || child["x-restart"] === true || child.items?.["x-restart"] === true;
    const inner =
      child.properties !== undefined ? child : child.items?.properties !== undefined ? child.items : undefined;
    const own = `| \`${key}\` | ${child.title ?? ""}${later && !waits ? " (waits for an idle moment)" : ""} | ${allowed(child)} | ${byDefault(child, needed)} |`;
    return [own, ...(inner === undefined ? [] : rows(child.items === undefined ? key : `${key}[]`, inner, later))];
  });
}

function allowed(node: Node): string {
  if (node.anyOf !== undefined) return node.anyOf.map((branch) => `\`${String(branch.const)}\``).join(", ");
  if (node.const !== undefined) return `\`${String(node.const)}\``;
  if (node.type === "boolean") return "true, false";
  if (node.type === "integer") {
    return node.minimum === undefined ? "integer" : `${node.minimum} to ${node.maximum ?? "any"}`;
  }
  if (node.type === "array") {
    return node.items?.properties === undefined && node.items !== undefined
      ? `list of: ${allowed(node.items)}`
      : "list";
  }
  if (node.type === "object") return "map";
  return (node.description ?? "text").replaceAll("|", "\\|");
}

function byDefault(node: Node, needed: boolean): string {
  if (needed) return "needed";
  if (node.default === undefined) return "";
  return `\`${JSON.stringify(node.default)}\``;
}

if (import.meta.main) writeFileSync(new URL("../docs/site-file.md", import.meta.url), siteFilePage());
