import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { openMediaSocket } from "../media/datagram.ts";
import { networkTransport } from "../sip/transport/network-transport.ts";
import { SipTransport } from "../sip/transport/sip-transport.ts";
import { tcpSockets } from "../sip/transport/tcp.ts";
import { udpSockets } from "../sip/transport/udp.ts";
import { accountsIn, TRUNK_USER, trunkPasswordIn } from "./accounts.ts";
import { startBroker } from "./broker.ts";
import { practiceCard } from "./card.ts";
import { Carrier } from "./carrier.ts";
import { CloudPbx } from "./cloud-pbx.ts";
import { type Equipment, startEquipment } from "./equipment.ts";
import { freePort, hold } from "./free-ports.ts";
import { type AttachedLan, attachedLans } from "./lans.ts";
import { AnsweredCalls } from "./party.ts";
import { PracticePhone } from "./phone.ts";
import { PHONES, type Places, placesOf } from "./places.ts";
import { type Rehearsed, rehearse } from "./rehearsal.ts";
import { practiceSiteFile, type SiteFileFacts } from "./site-file.ts";
import { startStunResponder } from "./stun-responder.ts";
import { WanCable } from "./wan-cable.ts";

export interface WorldOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly state_dir: string;
  readonly run_dir: string;
  readonly lan: boolean;
}

/** Everything around the box of the practice site. */
export interface World {
  readonly cable: WanCable;
  readonly config_file: string;
  readonly card: string;
  call(from: string, to: string): Promise<Rehearsed>;
  close(): Promise<void>;
}

const SITES = 32;
/** Taken for as long as a practice site runs, so that a second one keeps off its addresses. */
const SITE_PORT = 47_911;
const SIP_PORT = 5060;
const WEB_PORT = 8080;
const LOOPBACK = "127.0.0.1";

export async function startWorld(options: WorldOptions): Promise<World> {
  const { clock, log, state_dir, run_dir, lan } = options;
  mkdirSync(state_dir, { recursive: true, mode: 0o750 });
  mkdirSync(run_dir, { recursive: true, mode: 0o750 });
  const { places, release } = await ownPlaces();
  const { wan, lte } = places;
  const cable = new WanCable(wan.box);
  const accounts = accountsIn(state_dir);
  const carrierPassword = trunkPasswordIn(state_dir);
  const attached = lan ? attachedLans() : [];

  const equipmentStarts = startEquipment(clock, log, run_dir);
  const [sipPort, webPort, pbx, wanCarrier, lteCarrier, stun, wanBroker, lteBroker, boxPbx, boxWan, boxLte] =
    await Promise.all([
      freePort(LOOPBACK, SIP_PORT),
      freePort(LOOPBACK, WEB_PORT),
      freePort(wan.pbx, 5060),
      freePort(wan.carrier, 5060),
      freePort(lte.carrier, 5060),
      freePort(wan.stun, 3478),
      freePort(wan.broker, 1883),
      freePort(lte.broker, 1883),
      freePort(wan.box, 5062),
      freePort(wan.box, 5072),
      freePort(lte.box, 5082),
    ]);
  const ports = { pbx, wanCarrier, lteCarrier, stun, wanBroker, lteBroker };
  const lans = [
    { address: LOOPBACK, subnet: "127.0.0.0/8", port: sipPort },
    ...(await Promise.all(attached.map(async (each) => ({ ...each, port: await freePort(each.address, SIP_PORT) })))),
  ];

  const answered = new AnsweredCalls();
  const behindCable = () => new SipTransport({ clock, datagrams: cable.datagrams(udpSockets), streams: tcpSockets });
  const pbxTransport = behindCable();
  const wanTransport = behindCable();
  const lteTransport = networkTransport({ clock });
  await Promise.all([
    pbxTransport.listen({ protocol: "udp", address: wan.pbx, port: pbx }),
    wanTransport.listen({ protocol: "udp", address: wan.carrier, port: wanCarrier }),
    lteTransport.listen({ protocol: "tcp", address: lte.carrier, port: lteCarrier }),
    lteTransport.listen({ protocol: "udp", address: lte.carrier, port: lteCarrier }),
  ]);
  const cloud = new CloudPbx({
    clock,
    address: wan.pbx,
    port: pbx,
    transport: pbxTransport,
    users: accounts,
    mainGroup: ["101", "102"],
    carrier: { address: wan.carrier, port: wanCarrier },
  });
  const overWan = new Carrier({
    clock,
    face: "wan",
    address: wan.carrier,
    port: wanCarrier,
    transport: wanTransport,
    openMedia: cable.media(openMediaSocket),
    account: undefined,
    answered,
  });
  const overLte = new Carrier({
    clock,
    face: "lte",
    address: lte.carrier,
    port: lteCarrier,
    transport: lteTransport,
    openMedia: openMediaSocket,
    account: { username: TRUNK_USER, password: carrierPassword },
    answered,
  });
  const responder = await startStunResponder(cable.datagrams(udpSockets), wan.stun, stun);
  const broker = await startBroker(
    { wan: { address: wan.broker, port: wanBroker }, lte: { address: lte.broker, port: lteBroker } },
    cable,
    log,
  );
  const phones = new Map(
    await Promise.all(
      PHONES.map(async (number, i) => {
        const phone = await PracticePhone.start({
          clock,
          number,
          address: places.phones[number],
          password: accounts.get(number) ?? "",
          box: { address: LOOPBACK, port: sipPort },
          answered,
          ring_ms: 300 + 200 * i,
        });
        return [number, phone] as const;
      }),
    ),
  );
  const equipment = await equipmentStarts;

  const boxPorts = { pbx: boxPbx, wan: boxWan, lte: boxLte };
  const config_file = join(run_dir, "site.yaml");
  const facts: SiteFileFacts = {
    places,
    accounts,
    carrierPassword,
    lans,
    web: { port: webPort },
    ports,
    boxPorts,
    modem: equipment.modem,
    ups: equipment.ups,
  };
  writeFileSync(`${config_file}.new`, practiceSiteFile(facts), { mode: 0o640 });
  renameSync(`${config_file}.new`, config_file);
  const card = practiceCard({
    pages: [LOOPBACK, ...attached.map(({ address }) => address)].map((address) => `http://${address}:${webPort}/`),
    sip: lans.map(({ address, port }) => `${address}:${port}`),
    accounts,
    notes: notesOf({ sipPort, webPort, equipment, lan, attached }),
  });

  return {
    cable,
    config_file,
    card,
    call: (from, to) =>
      rehearse(
        {
          clock,
          phones,
          answered,
          wanCarrier: overWan,
          lteCarrier: overLte,
          pbx: { address: wan.pbx, port: pbx },
        },
        from,
        to,
      ),
    async close() {
      equipment.close();
      await Promise.all([...phones.values()].map((phone) => phone.close()));
      await Promise.all([cloud.close(), overWan.close(), overLte.close(), responder.close(), broker.close()]);
      await release();
    },
  };
}

/** The first set of addresses that no other practice site of this machine has. */
async function ownPlaces(): Promise<{ places: Places; release(): Promise<void> }> {
  for (let number = 0; number < SITES; number++) {
    const places = placesOf(number);
    const held = await hold(places.wan.stun, SITE_PORT);
    if (held !== undefined) return { places, release: () => new Promise((done) => held.close(() => done())) };
  }
  throw new Error(`${SITES} practice sites run on this machine already`);
}

function notesOf(found: {
  readonly sipPort: number;
  readonly webPort: number;
  readonly equipment: Equipment;
  readonly lan: boolean;
  readonly attached: readonly AttachedLan[];
}): string[] {
  const notes: string[] = [];
  if (found.sipPort !== SIP_PORT) notes.push(`port ${SIP_PORT} is taken here; SIP is at port ${found.sipPort}.`);
  if (found.webPort !== WEB_PORT) notes.push(`port ${WEB_PORT} is taken here; the page is at port ${found.webPort}.`);
  if (found.equipment.modem === undefined) notes.push("no practice modem: this machine gave no pseudo-terminal.");
  if (found.equipment.ups === undefined) notes.push("no practice UPS: this machine gave no pseudo-terminal.");
  if (!found.lan) notes.push("a softphone has to speak from 127.0.0.1 itself; one that will not needs --lan.");
  if (found.lan && found.attached.length === 0) notes.push("--lan: this machine is in no LAN.");
  return notes;
}
