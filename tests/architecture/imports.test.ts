import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Which rooms a room may import from, itself included. Everything not listed is forbidden. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: ["base"],
  sip: ["base", "sip"],
  media: ["base", "media"],
  net: ["base", "net"],
  engine: ["base", "sip", "engine", "net", "media/port"],
  cellular: ["base", "sip", "media", "cellular"],
  site: ["base", "site", "net"],
  practice: ["base", "sip", "media", "practice"],
  cli: ["base", "net", "cli"],
};

/** The layers of the SIP library, lowest first: a layer imports itself and what is below it. */
const SIP_LAYERS = ["messages", "auth", "transport", "locating", "transactions", "dialogs", "core"];

/** Modules through which the world is touched; only files that say "Adapter:" may import them. */
const WORLD = [
  "node:dgram",
  "node:net",
  "node:tls",
  "node:dns",
  "node:http",
  "node:https",
  "node:child_process",
  "serialport",
  "onoff",
  "mqtt",
  "better-sqlite3",
  "aedes",
  "node-ssdp",
  "systeminformation",
  "fastify",
];

/** The parts of the media process that the engine may see: the port and its client, never the process. */
const MEDIA_PORT = ["agent/media/relay.ts", "agent/media/relay-client.ts"];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function files(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !name.includes("node_modules"))
    .map((name) => join(folder, name));
}

const production = files("agent").filter((file) => !file.endsWith(".test.ts"));

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const found: Import[] = [];
  for (const match of text.matchAll(/^\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm)) {
    found.push({ from: file, to: target(file, match[2] ?? ""), typeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g)) {
    found.push({ from: file, to: target(file, match[1] ?? ""), typeOnly: false });
  }
  return found;
}

function target(file: string, specifier: string): string {
  return specifier.startsWith(".") ? relative(ROOT, resolve(ROOT, dirname(file), specifier)) : specifier;
}

function room(file: string): string {
  if (MEDIA_PORT.includes(file)) return "media/port";
  const part = file.split("/")[1] ?? "";
  return part.replace(/\.ts$/, "");
}

const all = production.flatMap(importsOf);

describe("imports run down only", () => {
  test("every room imports only what it may", () => {
    const forbidden = all
      .filter((edge) => edge.to.startsWith("agent/"))
      .filter((edge) => {
        const from = edge.from.startsWith("agent/media/") ? "media" : room(edge.from);
        const allowed = MAY_IMPORT[from] ?? [];
        return !allowed.includes(room(edge.to)) && !(room(edge.to) === "media/port" && allowed.includes("media"));
      })
      .map((edge) => `${edge.from} -> ${edge.to}`);
    expect(forbidden).toEqual([]);
  });

  test("agent imports nothing from tests, web-ui or scripts", () => {
    const outside = all.filter((edge) => /^(tests|web-ui|scripts|images)\//.test(edge.to) || edge.to.startsWith(".."));
    expect(outside.map((edge) => `${edge.from} -> ${edge.to}`)).toEqual([]);
  });

  test("the SIP library's layers never look up", () => {
    const up = all
      .filter((edge) => edge.from.startsWith("agent/sip/") && edge.to.startsWith("agent/sip/"))
      .filter((edge) => {
        const from = SIP_LAYERS.indexOf(edge.from.split("/")[2] ?? "");
        const to = SIP_LAYERS.indexOf(edge.to.split("/")[2] ?? "");
        return from >= 0 && to > from;
      });
    expect(up.map((edge) => `${edge.from} -> ${edge.to}`)).toEqual([]);
  });

  test("there is no cycle", () => {
    const graph = new Map<string, string[]>();
    for (const edge of all) {
      if (edge.typeOnly || !edge.to.startsWith("agent/")) continue;
      graph.set(edge.from, [...(graph.get(edge.from) ?? []), edge.to]);
    }
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, trail: readonly string[]) => {
      if (trail.includes(file)) {
        cycles.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
        return;
      }
      if (done.has(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
      done.add(file);
    };
    for (const file of graph.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

describe("the world is touched in adapters only", () => {
  test("a file that imports sockets, processes, ports, brokers or databases says that it is an adapter", () => {
    const strangers = production.filter((file) => {
      const touches = importsOf(file).some((edge) => !edge.typeOnly && WORLD.includes(edge.to));
      return touches && !readFileSync(join(ROOT, file), "utf8").includes("Adapter:");
    });
    expect(strangers).toEqual([]);
  });

  test("the engine loads no native add-on and speaks neither MQTT nor HTTP", () => {
    const reached = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: string) => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const edge of importsOf(file)) {
        if (edge.typeOnly) continue;
        if (edge.to.startsWith("agent/")) visit(edge.to);
        else packages.add(edge.to);
      }
    };
    visit("agent/engine/main.ts");
    expect(reached.size).toBeGreaterThan(20);
    const never = [
      "better-sqlite3",
      "serialport",
      "onoff",
      "mqtt",
      "aedes",
      "fastify",
      "node-ssdp",
      "systeminformation",
      "node:http",
      "node:https",
    ];
    expect([...packages].filter((name) => never.includes(name))).toEqual([]);
  });

  test("domain code takes its time from a Clock", () => {
    const own = production.filter((file) => {
      if (file === "agent/base/clock.ts" || file === "agent/base/manual-clock.ts") return false;
      const code = readFileSync(join(ROOT, file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      return /\b(setTimeout|setInterval|Date\.now|performance\.now)\s*\(|new Date\(\)/.test(code);
    });
    expect(own).toEqual([]);
  });
});
