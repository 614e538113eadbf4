import type { ServerTransaction } from "../../sip/transactions/server-transaction.ts";
import { type MemoryPhone, sdp } from "./memory-phone.ts";
import { BOX, type MemorySite, memorySite, PBX, siteConfig } from "./memory-site.ts";

export interface Scene {
  readonly site: MemorySite;
  readonly alice: MemoryPhone;
  readonly bob: MemoryPhone;
}

export async function scene(config = siteConfig()): Promise<Scene> {
  const site = await memorySite({ config });
  const alice = await site.phone("101", "10.20.0.101");
  const bob = await site.phone("102", "10.20.0.102");
  void alice.register();
  void bob.register();
  await site.pass(20);
  return { site, alice, bob };
}

export async function offline(): Promise<Scene> {
  const made = await scene();
  made.site.network.setPaths(BOX, PBX, { cut: "black-hole" });
  made.site.setTrunk("down");
  made.site.setMode("survivable");
  return made;
}

export function ringing(phone: MemoryPhone): ServerTransaction {
  const tx = phone.pending.at(-1);
  if (tx === undefined) throw new Error(`${phone.user} does not ring`);
  return tx;
}

/** Alice calls Bob and he answers. */
export async function talking({ site, alice, bob }: Scene) {
  const invite = alice.inviteRequest("102");
  const answer = alice.send(invite);
  await site.pass(20);
  const tx = ringing(bob);
  bob.respond(tx, 200, sdp(bob.address, 40_000));
  await site.pass(20);
  const ok = await answer;
  alice.ack(invite, ok);
  await site.pass(20);
  return { invite, ok, caller: alice.dialogOf(invite, ok), callee: bob.dialogFrom(tx.request) };
}

export async function within<T>(site: MemorySite, ms: number, promise: Promise<T>): Promise<T> {
  await site.pass(ms);
  return promise;
}

export const endpoints = (site: MemorySite) => [...site.relay.endpoints.values()];

export function fail(): never {
  throw new Error("missing");
}
