// The real peers of the live tests, from Debian's packages.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

/** Debian package: a program of it, or another file, whose presence tells that it is installed. */
const PEERS = {
  kamailio: "/usr/sbin/kamailio",
  "kamailio-presence-modules": `/usr/lib/${machine()}-linux-gnu/kamailio/modules/presence.so`,
  "kamailio-tls-modules": "/usr/share/doc/kamailio-tls-modules/copyright",
  openssl: "/usr/bin/openssl",
  "sip-tester": "/usr/bin/sipp",
  "baresip-core": "/usr/bin/baresip",
  "linphone-cli": "/usr/bin/linphonec",
  mosquitto: "/usr/sbin/mosquitto",
  "mosquitto-clients": "/usr/bin/mosquitto_sub",
  "nut-server": "/sbin/upsd",
  nftables: "/usr/sbin/nft",
  iproute2: "/usr/sbin/ip",
  "iputils-ping": "/usr/bin/ping",
  procps: "/usr/bin/ps",
  sox: "/usr/bin/sox",
  socat: "/usr/bin/socat",
  tcpdump: "/usr/bin/tcpdump",
  "dnsmasq-base": "/usr/sbin/dnsmasq",
  "libxml2-utils": "/usr/bin/xmllint",
  strace: "/usr/bin/strace",
  chromium: "/usr/bin/chromium",
};

/** As Debian's directories name it. */
function machine() {
  return process.arch === "arm64" ? "aarch64" : "x86_64";
}

export function missingPeers() {
  return Object.entries(PEERS)
    .filter(([, program]) => !existsSync(program) && !existsSync(program.replace(/^\/usr/, "")))
    .map(([name]) => name);
}

function asRoot(command, args, options) {
  const [program, first] =
    process.getuid() === 0 ? [command, args] : ["sudo", ["-n", "--preserve-env=DEBIAN_FRONTEND", command, ...args]];
  return spawnSync(program, first, options);
}

/**
 * Installs the missing ones where this is Debian and we are root or may become it. Their services are not started: the
 * tests start what they need themselves. Returns why the live tests cannot run here, or undefined when they can.
 */
export function ensurePeers() {
  if (process.platform !== "linux") return "this is not Linux";
  const missing = missingPeers();
  if (missing.length === 0) return undefined;
  if (!existsSync("/usr/bin/apt-get")) return `not installed, and there is no apt-get: ${missing.join(", ")}`;
  if (process.getuid() !== 0 && spawnSync("sudo", ["-n", "true"]).status !== 0) {
    return `not installed, and installing needs root or sudo: ${missing.join(", ")}`;
  }
  console.log(`Installing the peers of the live tests: ${missing.join(" ")} …`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const quiet = { stdio: ["ignore", "ignore", "inherit"], env };
  const policy = "/usr/sbin/policy-rc.d";
  const ours = process.getuid() === 0 && !existsSync(policy);
  if (ours) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    asRoot("apt-get", ["-qq", "update"], quiet);
    const done = asRoot("apt-get", ["-qq", "install", "-y", "--no-install-recommends", ...missing], quiet);
    if (done.status !== 0) return `apt-get could not install: ${missing.join(", ")}`;
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
  const still = missingPeers();
  return still.length === 0 ? undefined : `apt-get said yes, yet missing: ${still.join(", ")}`;
}
