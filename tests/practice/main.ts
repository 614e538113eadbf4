/**
 * The practice site seen from outside: starts it as `npm start` does, in directories of its own, and looks at what a
 * newcomer would see and at what leaves the machine. Prints a line for each check; exit status 1 when one failed.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checks } from "./checks.ts";
import { Noc } from "./noc.ts";
import { PracticeSite } from "./practice-site.ts";
import { equipmentOpened, traceFiles, wayOut } from "./traces.ts";

const START_WITHIN_MS = 60_000;
const SECOND_START_MS = 3000;

interface Status {
  readonly practice: boolean;
  readonly cable?: { readonly wan: string };
  readonly engine?: {
    readonly mode: string;
    readonly calls_go_by: string;
    readonly phones: readonly { readonly number: string; readonly availability: string }[];
    readonly emergency: { readonly state: string };
    readonly trunks: readonly { readonly id: string; readonly registered?: boolean }[];
  };
  readonly noc: { readonly state: string; readonly path?: string; readonly waiting_events: number };
  readonly cellular?: { readonly modems: readonly { readonly state: string; readonly model?: string }[] };
  readonly power: { readonly source: string };
}

/** What strace writes of calls that must not be there. */
const OUTWARD = [
  'connect(21, {sa_family=AF_INET, sin_port=htons(5060), sin_addr=inet_addr("203.0.113.1")}, 16) = -1 EINPROGRESS',
  'sendmsg(19, {msg_name={sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("203.0.113.53")}, msg_namelen=16, msg_iov=[{',
  'bind(18, {sa_family=AF_INET, sin_port=htons(5060), sin_addr=inet_addr("0.0.0.0")}, 16) = 0',
  'connect(20, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0',
  'bind(18, {sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::", &sin6_addr), sin6_scope_id=0}, 28) = 0',
];
const OPENED = [
  'openat(AT_FDCWD, "/dev/ttyUSB2", O_RDWR|O_NOCTTY|O_NONBLOCK) = 17',
  'openat(AT_FDCWD, "/dev/gpiochip0", O_RDWR|O_CLOEXEC) = -1 ENOENT (No such file or directory)',
];

const folder = mkdtempSync(join(tmpdir(), "holdfast-practice-"));
const checks = new Checks();
const traced = existsSync("/usr/bin/strace");
let site = new PracticeSite(folder, traced);
let noc: Noc | undefined;

async function status(): Promise<Status | undefined> {
  try {
    const answer = await fetch(`${site.page}api/v1/status`, { signal: AbortSignal.timeout(2000) });
    return answer.ok ? ((await answer.json()) as Status) : undefined;
  } catch {
    return undefined;
  }
}

const until = (what: (now: Status) => boolean, within_ms: number) =>
  checks.until(async () => {
    const now = await status();
    return now !== undefined && what(now);
  }, within_ms);

async function story(): Promise<void> {
  const started = await site.start(START_WITHIN_MS);
  checks.tell("the card is printed", started !== undefined, `after ${started ?? START_WITHIN_MS} ms`);
  if (started === undefined) {
    console.log(site.output);
    return;
  }
  checks.tell("the card says PRACTICE, the page, a SIP address and two accounts", site.cardIsComplete, site.card);

  const page = await fetch(site.page).then(
    async (answer) => ({ status: answer.status, text: await answer.text() }),
    (error: unknown) => ({ status: 0, text: String(error) }),
  );
  checks.tell("the status page answers", page.status === 200 && /<html/i.test(page.text), `status ${page.status}`);
  checks.tell(
    "it says PRACTICE, and 101, 102 and 103 are online",
    await until(
      ({ practice, engine }) =>
        practice &&
        ["101", "102", "103"].every(
          (number) => engine?.phones.find((phone) => phone.number === number)?.availability === "online",
        ),
      15_000,
    ),
  );
  checks.tell(
    "911 is ready over two paths, the LTE trunk has registered",
    await until(
      ({ engine }) =>
        engine?.mode === "normal" &&
        engine.emergency.state === "ready" &&
        engine.trunks.find(({ id }) => id === "practice-lte-trunk")?.registered === true,
      15_000,
    ),
  );
  checks.tell(
    "the practice modem is registered and says PRACTICE; the UPS sees mains",
    await until(
      ({ cellular, power }) =>
        power.source === "mains" &&
        cellular?.modems[0]?.state === "registered" &&
        cellular.modems[0].model?.includes("PRACTICE") === true,
      20_000,
    ),
  );
  noc = await Noc.join(site.brokers.lte);

  checks.tellCall("101 calls 102", await site.command("call", "101", "102"), []);
  const drill = await site.drill("start", "--minutes", "1");
  checks.tell(
    "a drill starts: mode forced, and the NOC hears of it",
    drill.status === 0 &&
      (await until(({ engine }) => engine?.mode === "forced", 4000)) &&
      (await checks.until(async () => noc?.has("drill.started") === true, 4000)),
    drill.output,
  );
  checks.tellCall("101 calls 911 in the drill, by the best path", await site.command("call", "101", "911"), [
    "over WAN",
  ]);
  checks.tell(
    "the 911 call has ended the drill, which left a record",
    (await until(({ engine }) => engine !== undefined && engine.mode !== "forced", 4000)) && noc.has("drill.ended"),
    `drill's end at the broker: ${noc.has("drill.ended")}`,
  );
  checks.tellCall("101 calls 911 while the WAN lives", await site.command("call", "101", "911"), [
    "over WAN",
    "Address received: 100 Rehearsal Street, floor 1, front desk",
  ]);

  const pulled = await site.command("cable", "pull");
  checks.tell("the cable is pulled", pulled.status === 0, pulled.output);
  checks.tellCall("102 calls 911 with the cable pulled", await site.command("call", "102", "911"), [
    "over LTE",
    "presenting +13035550102",
    "Address received: 100 Rehearsal Street, floor 2, room 204",
  ]);
  checks.tell(
    "the page shows the pulled cable and calls by cellular",
    await until(
      ({ cable, engine }) => cable?.wan === "pulled" && engine?.mode === "survivable" && engine.calls_go_by === "lte",
      8000,
    ),
  );
  checks.tell(
    "the NOC is told over LTE: outage and 911 call, marked PRACTICE",
    await checks.until(
      async () => noc?.has("path.health") === true && noc.has("emergency.started") && noc.has("emergency.answered"),
      8000,
    ),
    `events at the broker: ${noc.types.join(" ")}`,
  );
  checks.tell("every message at the broker says PRACTICE", noc.unmarked === 0, `${noc.unmarked} do not`);
  checks.tellCall("101 calls 102 without the cloud", await site.command("call", "101", "102"), []);
  checks.tellCall("the main number out", await site.command("call", "103", "3035550199"), ["over LTE"]);
  checks.tellCall("the main number in", await site.command("call", "3035550199", "3035550100"), ["LTE trunk"]);
  checks.tell(
    "the NOC has acknowledged everything, heard over LTE",
    await until(({ noc: line }) => line.path === "lte" && line.waiting_events === 0, 20_000),
  );

  const plugged = await site.command("cable", "plug");
  checks.tell("the cable is plugged", plugged.status === 0, plugged.output);
  checks.tell(
    "the WAN is good again after its hold-down",
    await until(
      ({ cable, engine, noc: line }) =>
        cable?.wan === "plugged" && engine?.emergency.state === "ready" && line.path === "wan",
      40_000,
    ),
  );
  await finish();

  // Without strace, as a person starts it.
  site = new PracticeSite(folder, false);
  const again = await site.start(START_WITHIN_MS);
  checks.tell(
    `a second start is up in ${SECOND_START_MS / 1000} s or less`,
    again !== undefined && again <= SECOND_START_MS,
    `${again ?? START_WITHIN_MS} ms to the card`,
  );
  const dropped = await site.interrupt();
  checks.tell("Ctrl-C ends that one too", dropped.left.length === 0, dropped.detail);
}

/** Ctrl-C, and what the traces say of its life. */
async function finish(): Promise<void> {
  noc?.leave();
  noc = undefined;
  const ended = await site.interrupt();
  checks.tell("Ctrl-C ends all processes cleanly", ended.left.length === 0 && ended.status === 0, ended.detail);
  if (!traced) {
    console.log("left out: strace is not here, so what leaves the machine was not watched");
    return;
  }
  const traces = traceFiles(folder);
  const lines = traces.flatMap((file) => readFileSync(file, "utf8").split("\n"));
  const inside = lines.filter((line) => line.includes('inet_addr("127.')).length;
  checks.tell(
    "the watch saw the site talk to itself",
    inside > 100,
    `${traces.length} traces, ${inside} calls on loopback`,
  );
  checks.tell("and it would see a way out", wayOut(OUTWARD).length === OUTWARD.length);
  checks.tell("and an opened port", equipmentOpened(OPENED).length === OPENED.length);
  const out = wayOut(lines);
  checks.tell("nothing left the machine or was open to it", out.length === 0, out.slice(0, 5).join(" | "));
  const opened = equipmentOpened(lines);
  checks.tell(
    "no real serial port, GPIO chip or modem was opened",
    opened.length === 0,
    opened.slice(0, 5).join(" | "),
  );
}

try {
  await story();
} catch (error) {
  checks.tell("the rehearsal came to its end", false, error instanceof Error ? (error.stack ?? "") : String(error));
} finally {
  noc?.leave();
  await site.interrupt();
  if (checks.failed > 0) {
    const logs = join(folder, "state", "log");
    for (const name of existsSync(logs) ? readdirSync(logs) : []) {
      console.log(`--- the end of ${name}`);
      console.log(readFileSync(join(logs, name), "utf8").trimEnd().split("\n").slice(-15).join("\n"));
    }
  }
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${checks.passed} passed, ${checks.failed} failed`);
process.exit(checks.failed > 0 ? 1 : 0);
