/** The rows' last column: what the layers above the parser do with each message. */
import { describe, expect, test } from "vitest";
import { createWorld } from "../../agent/engine/calls/testing/world.ts";
import { sdp as phoneSdp } from "../../agent/engine/testing/memory-phone.ts";
import { BOX, memorySite, PBX, siteConfig } from "../../agent/engine/testing/memory-site.ts";
import { buildResponse } from "../../agent/sip/messages/build.ts";
import { canonicalName, header, headerList, headerValues } from "../../agent/sip/messages/headers.ts";
import type { SipMessage, SipRequest, SipResponse } from "../../agent/sip/messages/message.ts";
import { parseMessage } from "../../agent/sip/messages/parse.ts";
import { sdpOf } from "../../agent/sip/messages/sdp.ts";
import type { MemoryNetwork } from "../../agent/sip/transport/memory-network.ts";
import { IPV6, RFC4475, row } from "./tables.ts";

/** Somebody who sends bytes as they are and keeps what comes back. */
async function sender(network: MemoryNetwork, address: string, port: number) {
  const transport = network.transport();
  // Some Vias name a port of their own, and do not ask for another by rport.
  for (const each of [port, 5050, 6050, 19_823]) await transport.listen({ protocol: "udp", address, port: each });
  const got: SipMessage[] = [];
  transport.onMessage((message) => void got.push(message));
  // As text too: an answer to nonsense repeats what of the nonsense it must, and may not be readable itself.
  const texts: string[] = [];
  transport.tap((direction, bytes) => {
    if (direction === "in") texts.push(Buffer.from(bytes).toString("latin1"));
  });
  const flow = (protocol: "udp" | "tcp", to: number, at = BOX) =>
    transport.flowTo({
      protocol,
      address: at,
      port: to,
      local_address: address,
      ...(protocol === "udp" ? { local_port: port } : {}),
    });
  return {
    got,
    texts,
    get responses() {
      return got.filter((each): each is SipResponse => each.kind === "response");
    },
    /** Statuses of the final responses. */
    get finals() {
      return texts.flatMap((text) => /^SIP\/2\.0 ([2-6][0-9][0-9]) /.exec(text)?.[1] ?? []).map(Number);
    },
    send: (bytes: Uint8Array, to = 5060, at = BOX) => transport.send(flow("udp", to, at), bytes),
    overTcp: (bytes: Uint8Array) => {
      const way = flow("tcp", 5060);
      transport.send(way, bytes);
      return way;
    },
  };
}

async function fromPhone(name: string, change: (text: string) => string = (text) => text) {
  const site = await memorySite();
  const phone = await sender(site.network, "10.20.0.99", 5060);
  // Of these dialogs the cloud knows nothing, and says so.
  site.pbx.intercept = (tx) => {
    if (tx.request.method !== "BYE") return false;
    tx.respond(buildResponse(tx.request, 481));
    return true;
  };
  phone.send(Buffer.from(change(row(name).bytes.toString("latin1")), "latin1"));
  await site.pass(20);
  return { site, phone };
}

function only<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined || list.length !== 1) throw new Error(`${list.length} instead of one`);
  return first;
}

/** Headers that a proxy changes by right: those of the hop, and of the registration that it stands in. */
const HOP = new Set(["Via", "Max-Forwards", "Record-Route", "Content-Length"]);
const REGISTRATION = new Set([...HOP, "Path", "Supported"]);

/** A description without its addresses and ports, which are the relay's on the other side. */
function withoutAddresses(sdp: string): string {
  return sdp.replace(/^(c=|o=\S+ \S+ \S+ )IN IP[46] \S+/gm, "$1").replace(/^(m=\S+) [0-9]+/gm, "$1");
}

function passedOn(message: SipRequest): unknown {
  const own = message.method === "REGISTER" ? REGISTRATION : HOP;
  return {
    line: `${message.method} ${message.uri}`,
    headers: message.headers.filter(({ name }) => !own.has(canonicalName(name))),
    body:
      sdpOf(message) === undefined
        ? Buffer.from(message.body).toString("latin1")
        : withoutAddresses(sdpOf(message) ?? ""),
  };
}

const rows = [...RFC4475, ...IPV6];

describe("passed on to the cloud, and nothing lost", () => {
  test.each(rows.filter(({ box }) => box === "forwarded"))("$section $name: $ours", async ({ name, bytes }) => {
    const parsed = parseMessage(bytes);
    if (!parsed.ok || parsed.message.kind !== "request") throw new Error(`${name} is no request`);
    const { site, phone } = await fromPhone(name);
    const arrived = only(site.pbx.requests.filter(({ method }) => method !== "ACK"));
    expect(passedOn(arrived)).toEqual(passedOn(parsed.message));
    // Its Vias stand below ours, the top one with the address that it came from.
    const vias = headerList(arrived, "Via");
    const before = headerList(parsed.message, "Via");
    expect(vias).toHaveLength(before.length + 1);
    expect(vias.slice(2)).toEqual(before.slice(1));
    expect(vias[1]).toContain(";received=10.20.0.99");
    const hops = header(parsed.message, "Max-Forwards");
    expect(Number(header(arrived, "Max-Forwards"))).toBe(hops === undefined ? 69 : Number(hops) - 1);
    expect(phone.responses.length, "answers").toBeGreaterThan(0);
    expect(phone.responses.map((response) => headerList(response, "Via").length)).toEqual(
      phone.responses.map(() => before.length),
    );
  });
});

describe("a phone's own INVITE, as odd as phones are", () => {
  const SESSION = phoneSdp("10.20.0.99", 4000);
  const LOCATION = '<?xml version="1.0"?>\r\n<presence entity="pres:zoë@example.com">--b,1</presence>';
  const multipart = (session: string) =>
    [
      "for readers of old",
      "--b,1 (x)/:=?",
      "Content-Type: application/pidf+xml",
      "Content-ID: <where@10.20.0.99>",
      "Content-Disposition: by-reference;handling=optional",
      "",
      LOCATION,
      "--b,1 (x)/:=?\t",
      "content-type : application/sdp",
      "X-Unknown: kept",
      "",
      session,
      "--b,1 (x)/:=?--",
      "and an epilogue",
    ].join("\r\n");
  const invite = (body: string) =>
    Buffer.from(
      [
        "INVITE sip:102@[2001:db8::10]:5070;transport=udp SIP/2.0",
        "X-First: before all",
        "Via: SIP/2.0/UDP 10.20.0.99;branch=z9hG4bKodd",
        'f: "Zoë \\"the \\\\ boss\\" 電話, inc. <x>" <sip:99@[2001:db8::99]:5060;x=y?a=b>;tag=1;odd="a;b,c"',
        "To: Σίσυφος <sip:102@example.com>",
        "i: odd",
        "CSeq: 1 INVITE",
        'X-Odd:   ,;""  =  <>>',
        'm: <sip:99@10.20.0.99>;+sip.instance="<urn:uuid:1>"',
        "X-Odd: again, in another place",
        'Geolocation: <cid:where@10.20.0.99>;inserted-by="10.20.0.99"',
        'c: multipart/mixed ; Boundary="b,1 (x)/:=?"; charset=x',
        `l: ${Buffer.byteLength(body)}`,
        "X-Last: after all",
        "",
        body,
      ].join("\r\n"),
    );

  test("arrives with every header in its place and form; of its body the session's address and port alone have changed", async () => {
    const site = await memorySite();
    const phone = await sender(site.network, "10.20.0.99", 5060);
    phone.send(invite(multipart(SESSION)));
    await site.pass(20);
    const arrived = only(site.pbx.received("INVITE"));
    const sent = parseMessage(invite(multipart(SESSION)));
    if (!sent.ok) throw new Error(sent.error.detail);
    const fields = ({ headers }: SipMessage) => headers.filter(({ name }) => !HOP.has(canonicalName(name)));
    expect(fields(arrived)).toEqual(fields(sent.message));
    const moved = SESSION.replace("c=IN IP4 10.20.0.99", `c=IN IP4 ${BOX}`).replace(/m=audio 4000/, "m=audio 20002");
    expect(Buffer.from(arrived.body).toString()).toBe(multipart(moved));
    expect(header(arrived, "Content-Length")).toBe(String(arrived.body.length));
  });
});

describe("refused", () => {
  test.each(rows.filter(({ box }) => typeof box === "number"))("$section $name: $ours", async ({ name, box }) => {
    const { site, phone } = await fromPhone(name);
    expect(phone.finals[0]).toBe(box);
    expect(site.pbx.requests).toEqual([]);
    expect(site.calls.taken).toEqual([]);
  });
});

describe("dropped without a word", () => {
  test.each(rows.filter(({ box }) => box === "dropped"))("$section $name: $ours", async ({ bytes }) => {
    const site = await memorySite();
    const cloud = await sender(site.network, PBX, 5080);
    const everybody = await sender(site.network, "255.255.255.255", 5060);
    cloud.send(bytes, 5062);
    await site.pass(20);
    expect(cloud.got).toEqual([]);
    expect(everybody.got).toEqual([]);
    expect(site.pbx.requests).toEqual([]);
  });
});

describe("responses of the cloud pass as they are", () => {
  test.each(["unreason", "noreason"])("%s: its reason phrase", async (name) => {
    const odd = parseMessage(row(name).bytes);
    if (!odd.ok || odd.message.kind !== "response") throw new Error(`${name} is no response`);
    const { reason } = odd.message;
    const site = await memorySite();
    site.pbx.intercept = (tx) => {
      tx.respond(buildResponse(tx.request, 404, { reason, headers: [{ name: "X-Odd", value: ";;,,;;,;" }] }));
      return true;
    };
    const phone = await sender(site.network, "10.20.0.99", 5060);
    phone.send(row("semiuri").bytes);
    await site.pass(20);
    expect(only(phone.responses)).toMatchObject({ status: 404, reason });
    expect(phone.texts[0]).toContain("\r\nX-Odd: ;;,,;;,;\r\n");
    expect(phone.texts[0]?.split("\r\n")[0]).toBe(`SIP/2.0 404 ${Buffer.from(reason).toString("latin1")}`);
  });
});

describe("transactions of clients that give no branch", () => {
  test.each(["badbranch", "inv2543"])(
    "%s: the same again is a repetition, another CSeq or Call-ID another one",
    async (name) => {
      const { site, phone } = await fromPhone(name);
      const text = row(name).bytes.toString("latin1");
      const passed = () => site.pbx.requests.filter(({ method }) => method !== "ACK").length;
      phone.send(row(name).bytes);
      await site.pass(20);
      expect(passed()).toBe(1);
      phone.send(Buffer.from(text.replace("Call-ID: ", "Call-ID: x"), "latin1"));
      await site.pass(20);
      expect(passed()).toBe(2);
      phone.send(Buffer.from(text.replace(/CSeq: [0-9]+/, "CSeq: 99"), "latin1"));
      await site.pass(20);
      expect(passed()).toBe(3);
    },
  );
});

describe("over a stream", () => {
  test.each(["ncl", "mcl01"])(
    "%s: 400 and the connection is closed, as no next message could be found",
    async (name) => {
      const site = await memorySite();
      const phone = await sender(site.network, "10.20.0.99", 5060);
      const way = phone.overTcp(row(name).bytes);
      await site.pass(50);
      expect(phone.finals).toEqual([400]);
      expect(way.closed).toBe(true);
    },
  );

  test("clerr: the rest is waited for, and the connection is closed when it does not come", async () => {
    const site = await memorySite();
    const phone = await sender(site.network, "10.20.0.99", 5060);
    const way = phone.overTcp(row("clerr").bytes);
    await site.pass(50);
    expect([phone.finals, way.closed]).toEqual([[], false]);
    await site.pass(6_000);
    expect(way.closed).toBe(true);
  });
});

describe("at the box itself", () => {
  const toTheBox = (text: string) => text.replace(/^(\S+) (?:.*) SIP\/2\.0/, `$1 sip:${BOX} SIP/2.0`);

  test.each(["intmeth", "esc02"])("%s: 501 with the methods that there are", async (name) => {
    const { phone } = await fromPhone(name, toTheBox);
    expect(phone.finals).toEqual([501]);
    expect(header(only(phone.responses), "Allow")).toContain("INVITE");
  });

  test("bext01: 420 naming what Require asks for; by the proxy what Proxy-Require asks for", async () => {
    const box = await fromPhone("bext01", toTheBox);
    expect(headerList(only(box.phone.responses), "Unsupported")).toEqual([
      "nothingSupportsThis",
      "nothingSupportsThisEither",
    ]);
    const proxy = await fromPhone("bext01");
    expect(headerList(only(proxy.phone.responses), "Unsupported")).toEqual([
      "noProxiesSupportThis",
      "norDoAnyProxiesSupportThis",
    ]);
  });

  test("zeromf: an endpoint answers although no hop is left", async () => {
    expect((await fromPhone("zeromf", toTheBox)).phone.finals).toEqual([200]);
  });

  test("badvers: the 505 is in our version", async () => {
    const response = only((await fromPhone("badvers")).phone.responses);
    expect([response.status, response.reason]).toEqual([505, "Version Not Supported"]);
  });

  test("insuf: the 400 has the Via and CSeq that there were", async () => {
    const response = only((await fromPhone("insuf")).phone.texts);
    expect(response).toContain("\r\nCSeq: 193942 INVITE\r\n");
    expect(response).toContain("branch=z9hG4bKkdj.insuf");
  });
});

describe("where the box takes the call", () => {
  async function dialled(name: string, change: (text: string) => string = (text) => text) {
    const world = await createWorld();
    const phone = await sender(world.network, "10.20.0.77", 5060);
    phone.send(Buffer.from(change(row(name).bytes.toString("latin1")), "latin1"));
    await world.advance(30);
    return { world, phone };
  }

  test("invut: 415 with the types that are read", async () => {
    const { phone } = await dialled("invut");
    expect(phone.finals[0]).toBe(415);
    expect(header(phone.responses.at(-1) as SipMessage, "Accept")).toBe("application/sdp");
  });

  test("sdp01: 406", async () => {
    expect((await dialled("sdp01")).phone.finals[0]).toBe(406);
  });

  test.each(["invut", "sdp01", "escruri", "bext01"])("%s as a 911 call is taken all the same", async (name) => {
    const { world } = await dialled(name, (text) =>
      text
        .replace(/^\S+ sip:[^@]*@/, "INVITE sip:911@")
        .replace("CSeq: 8 OPTIONS", "CSeq: 8 INVITE")
        .replace(/^INVITE (\S+)/, "INVITE $1"),
    );
    expect(world.events_of("emergency.started")).toHaveLength(1);
  });
});

describe("at our own registrar", () => {
  /** A site whose cloud serves example.com with these users, and has accepted this very message before it went. */
  async function registered(name: string, user: string) {
    const config = siteConfig((site) => {
      for (const target of site.pbx_targets) Object.assign(target, { domain: "example.com" });
      for (const extension of site.extensions) {
        Object.assign(extension, { username: extension.id === "ext-101" ? user : "other", ha1_md5: undefined });
      }
    });
    const site = await memorySite({ config });
    const phone = await sender(site.network, "10.20.0.99", 5060);
    phone.send(row(name).bytes);
    await site.pass(20);
    phone.texts.length = 0;
    site.setTrunk("down");
    site.setMode("survivable");
    const again = row(name)
      .bytes.toString("latin1")
      .replace(/^CSeq: ([0-9]+)/m, (_, seq: string) => `CSeq: ${Number(seq) + 1}`)
      .replace(/branch=([^\r;]*)/, "branch=$1again");
    phone.got.length = 0;
    phone.send(Buffer.from(again, "latin1"));
    await site.pass(20);
    return { site, phone, answer: phone.responses.at(-1) };
  }

  /** The Contacts that the registrar holds, without the time that it grants them. */
  const held = (answer: SipResponse | undefined) =>
    answer === undefined ? [] : headerValues(answer, "Contact").map((value) => value.replace(/;expires=[0-9]+$/, ""));

  test("cparam01: the parameter is kept beside the URI", async () => {
    const { answer } = await registered("cparam01", "watson");
    expect(answer?.status).toBe(200);
    expect(held(answer)).toEqual(["<sip:+19725552222@gw1.example.net>;unknownparam"]);
  });

  test("cparam02: the parameter is kept within the URI", async () => {
    const { answer } = await registered("cparam02", "watson");
    expect(held(answer)).toEqual(["<sip:+19725552222@gw1.example.net;unknownparam>"]);
  });

  test("escnull: two bindings of one user whose name has a NUL in it", async () => {
    const { answer } = await registered("escnull", "null-\0-null");
    expect(held(answer).sort()).toEqual(["<sip:%00%00@host5.example.com>", "<sip:%00@host5.example.com>"]);
  });

  test("regescrt: the URI is bound whole, and rung without its header", async () => {
    const { site, phone, answer } = await registered("regescrt", "user");
    expect(held(answer)).toEqual(["<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"]);
    phone.got.length = 0;
    const invite = [
      "INVITE sip:101@example.com SIP/2.0",
      "Via: SIP/2.0/UDP 10.20.0.99;branch=z9hG4bKcall",
      "Max-Forwards: 70",
      "From: <sip:user@example.com>;tag=1",
      "To: <sip:101@example.com>",
      "Call-ID: call",
      "CSeq: 1 INVITE",
      "Contact: <sip:user@10.20.0.99>",
      "Content-Type: application/sdp",
      "",
      phoneSdp("10.20.0.99", 4000),
    ];
    phone.send(Buffer.from(invite.join("\r\n")));
    await site.pass(20);
    const rung = only(phone.got.filter((each): each is SipRequest => each.kind === "request"));
    expect(rung.uri).toBe("sip:user@example.com");
    expect(headerList(rung, "Route")).toEqual([]);
  });

  test.each([
    ["regbadct", "user", 400],
    ["unksm2", "user", 400],
    ["regaut01", "j.user", 401],
  ])("%s: refused", async (name, user, status) => {
    const { answer } = await registered(name, user);
    expect(answer?.status).toBe(status);
    if (status === 401 && answer !== undefined) expect(header(answer, "WWW-Authenticate")).toMatch(/^Digest /);
  });
});
