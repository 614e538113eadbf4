import { expect, test } from "vitest";
import { ManualClock } from "../base/manual-clock.ts";
import type { Binding } from "../base/snapshot.ts";
import { ha1Of } from "../sip/auth/digest.ts";
import { buildRequest } from "../sip/messages/build.ts";
import type { Flow } from "../sip/transport/flow.ts";
import { Callers } from "./caller.ts";
import { AddressesOfRecord } from "./registrar/addresses-of-record.ts";
import { BindingStore } from "./registrar/binding-store.ts";
import { PhoneDigest } from "./registrar/trust.ts";
import { BOX, siteConfig } from "./testing/memory-site.ts";

const PHONE = "10.20.0.101";

const from = (address: string, port: number): Flow => ({
  id: "",
  protocol: "udp",
  local: { address: BOX, port: 5060 },
  remote: { address, port },
  reliable: false,
  connected: true,
  closed: false,
});

function callers(): Callers {
  const clock = new ManualClock();
  const config = siteConfig(({ extensions: [first] }) => {
    if (first !== undefined) first.ha1_md5 = ha1Of("MD5", "101", "pbx.example", "secret");
  });
  const aors = new AddressesOfRecord(config);
  const store = new BindingStore(clock, aors, () => {});
  const proven: Binding = {
    aor: aors.ofExtension("ext-101") ?? "",
    contact: `sip:101@${PHONE}:5060`,
    contact_params: "",
    call_id: "c",
    cseq: 1,
    expires_wall: clock.wall() + 60_000,
    transport: "udp",
    source_address: PHONE,
    source_port: 5060,
    local_address: BOX,
    local_port: 5060,
    instance: undefined,
    user_agent: "",
    trust: "full",
    cloud_accepted_wall: undefined,
    flow_token: "t",
  };
  store.put(proven, 60_000);
  return new Callers({ store, digest: new PhoneDigest(clock, config), configured: true, aors: () => aors });
}

const invite = buildRequest({
  method: "INVITE",
  uri: "sip:13035550199@pbx.example",
  from: "<sip:101@pbx.example>;tag=1",
  to: "<sip:13035550199@pbx.example>",
  callId: "x",
  cseq: 1,
});

test("a phone that proved its secret calls out from the address and port it registered from", () => {
  const known = callers();
  const caller = known.identify(invite, from(PHONE, 5060));
  expect(caller).toMatchObject({ extension: "ext-101", trust: "full" });
  expect(known.refusal(invite, caller, "outside")).toBeUndefined();
});

test("whoever shares that address may call inside, and is asked for the secret before a call to the outside", () => {
  const known = callers();
  const caller = known.identify(invite, from(PHONE, 7777));
  expect(caller).toMatchObject({ extension: "ext-101", trust: "learned" });
  expect(known.refusal(invite, caller, "inside")).toBeUndefined();
  expect(known.refusal(invite, caller, "outside")?.status).toBe(407);
});

test("from elsewhere the same words are a stranger's", () => {
  const known = callers();
  const caller = known.identify(invite, from("10.20.0.66", 5060));
  expect(caller.trust).toBe("stranger");
  expect(known.refusal(invite, caller, "inside")?.status).toBe(407);
});
