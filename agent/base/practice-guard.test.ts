import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const GUARD = new URL("./practice-guard.ts", import.meta.url).pathname;

/** Runs a piece of code in a process of its own, because the guard cannot be taken off again. */
function inGuardedProcess(code: string, options: { lan?: boolean; install?: string } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "guard-"));
  const file = join(folder, "probe.ts");
  writeFileSync(
    file,
    `import * as guard from ${JSON.stringify(GUARD)};
import net, { connect } from "node:net"; import dgram from "node:dgram"; import http from "node:http"; import tls from "node:tls";
import dns, { lookup, Resolver } from "node:dns";
${options.install ?? `guard.installPracticeGuard({ lan: ${options.lan === true} });`}
const say = (text: unknown) => console.log(String(text));
const attempt = async (act: () => unknown) => { try { await act(); say("OPENED"); } catch (error) { say((error as Error).message); } };
${code}
`,
  );
  return execFileSync(confined[0], [...confined.slice(1), process.execPath, file], { encoding: "utf8", timeout: 8000 });
}

/** A broken guard must not let a test out either: where the kernel allows, the probe runs without any network. */
const confined = ((): [string, ...string[]] => {
  const command: [string, ...string[]] = ["unshare", "--user", "--map-root-user", "--net", "--"];
  const up = ["sh", "-c", 'ip link set lo up && exec "$@"', "probe"];
  return spawnSync(command[0], [...command.slice(1), ...up, "true"]).status === 0 ? [...command, ...up] : ["env"];
})();

/** An address of no network, RFC 5737. */
const OUTSIDE = "203.0.113.1";

describe("in practice nothing leaves the machine", () => {
  test.each([
    ["TCP", `net.connect(5060, "${OUTSIDE}")`],
    ["TCP by options", `net.connect({ port: 5060, host: "${OUTSIDE}" })`],
    ["TCP through a named import", `connect(5060, "${OUTSIDE}")`],
    ["TCP to a name", `net.connect(443, "registry.example")`],
    ["TLS", `tls.connect(5061, "${OUTSIDE}")`],
    ["HTTP", `new Promise((_, no) => http.get("http://${OUTSIDE}/").on("error", no))`],
    ["fetch", `fetch("http://${OUTSIDE}/").catch((error) => { throw error.cause; })`],
    ["UDP", `dgram.createSocket("udp4").send("x", 5060, "${OUTSIDE}")`],
    ["UDP with offsets", `dgram.createSocket("udp4").send("x", 0, 1, 5060, "${OUTSIDE}")`],
    ["connected UDP", `dgram.createSocket("udp4").connect(5060, "${OUTSIDE}")`],
    ["a multicast group", `dgram.createSocket("udp4").addMembership("239.255.255.250")`],
    ["a lookup", `dns.promises.lookup("pbx.example")`],
    [
      "a lookup with callback",
      `new Promise((yes, no) => lookup("pbx.example", (error) => (error ? no(error) : yes(0))))`,
    ],
    ["a resolver of its own", `new Resolver().setServers(["${OUTSIDE}"])`],
    ["listening on every address", `net.createServer().listen(0)`],
    ["listening on 0.0.0.0", `net.createServer().listen({ port: 0, host: "0.0.0.0" })`],
    ["UDP bound to every address", `dgram.createSocket("udp4").bind(0)`],
  ])("%s is refused", (_name, code) => {
    expect(inGuardedProcess(`await attempt(() => ${code}); process.exit(0);`)).toMatch(/practice\.forbidden.*PRACTICE/);
  });

  test("loopback and Unix sockets work", () => {
    const out = inGuardedProcess(`
      const server = net.createServer((socket) => socket.end("hello"));
      await new Promise<void>((yes) => server.listen(0, "127.0.0.1", yes));
      const { port } = server.address() as net.AddressInfo;
      await new Promise<void>((yes) => net.connect(port, "127.0.0.1").on("data", (data) => { say(data); yes(); }));
      const a = dgram.createSocket("udp4"); const b = dgram.createSocket("udp4");
      await new Promise<void>((yes) => a.bind(0, "127.20.0.1", yes));
      const got = new Promise<void>((yes) => a.on("message", (data) => { say(data); yes(); }));
      b.send("datagram", a.address().port, "127.20.0.1"); await got;
      process.exit(0);`);
    expect(out).toBe("hello\ndatagram\n");
  });

  test("with phones of the LAN let in, addresses beyond the attached networks stay closed", () => {
    const out = inGuardedProcess(
      `await attempt(() => dgram.createSocket("udp4").send("x", 5060, "${OUTSIDE}")); process.exit(0);`,
      {
        lan: true,
      },
    );
    expect(out).toContain("practice.forbidden");
  });
});

describe("real equipment", () => {
  test.each(["/dev/ttyUSB0", "/dev/ttyS0", "/dev/serial/by-id/usb-x", "gpiochip0", "/dev/pts/../ttyS0"])(
    "%s is refused in practice",
    (device) => {
      expect(inGuardedProcess(`await attempt(() => guard.requireEquipment("${device}")); process.exit(0);`)).toContain(
        "practice.forbidden",
      );
    },
  );

  test("a pseudo-terminal is let through in practice", () => {
    expect(inGuardedProcess(`await attempt(() => guard.requireEquipment("/dev/pts/3")); process.exit(0);`)).toBe(
      "OPENED\n",
    );
  });

  test("without a live site file nothing is opened, practice or not", () => {
    const out = inGuardedProcess(
      `await attempt(() => guard.requireEquipment("/dev/ttyUSB0")); await attempt(() => guard.permitLive(false)); process.exit(0);`,
      { install: "" },
    );
    expect(out.match(/config\.not_live/g)).toHaveLength(2);
  });

  test("a live site file opens it, and a live process never becomes a practice nor the reverse", () => {
    const out = inGuardedProcess(
      `guard.permitLive(true); await attempt(() => guard.requireEquipment("/dev/ttyUSB0")); await attempt(() => guard.installPracticeGuard({ lan: false })); process.exit(0);`,
      { install: "" },
    );
    expect(out).toMatch(/^OPENED\n.*practice\.forbidden/);
    expect(inGuardedProcess(`await attempt(() => guard.permitLive(true)); process.exit(0);`)).toContain(
      "practice.forbidden",
    );
  });
});
