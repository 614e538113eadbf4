import { expect, test } from "vitest";
import { header } from "../../sip/messages/headers.ts";
import type { PlayedCall } from "./testing/peers.ts";
import { DIRECT, LTE } from "./testing/site.ts";
import { createWorld } from "./testing/world.ts";

const credentials = { username: "box", password: "pw" };

/** Both trunks want a password. */
const withPasswords = () =>
  createWorld({
    trunks: ({ wan, lte }) => [
      { id: "direct", path: wan, remote: DIRECT, local_port: 5072, roles: ["emergency"], credentials },
      { id: "lte-trunk", path: lte, remote: LTE, local_port: 5070, credentials },
    ],
  });

const challenges = (call: PlayedCall, nonce: string, stale: boolean) =>
  void call.respond(401, {
    headers: [
      {
        name: "WWW-Authenticate",
        value: `Digest realm="carrier", nonce="${nonce}", qop="auth"${stale ? ", stale=true" : ""}`,
      },
    ],
  });

/** The nonce with which the box proved itself. */
const nonceOf = (call: PlayedCall) => /nonce="([^"]*)"/.exec(header(call.request, "Authorization") ?? "")?.[1];

test.each([
  ["911", "direct"],
  ["3035550123", "lte"],
] as const)(
  "%s: a nonce that went stale is not a wrong password: proved once more with the new one",
  async (number, at) => {
    const world = await withPasswords();
    const trunk = world[at];
    trunk.script = (call) => {
      const nonce = nonceOf(call);
      if (nonce === undefined) challenges(call, "n1", false);
      else if (nonce === "n1") challenges(call, "n2", true);
      else call.answer();
    };
    const call = world.dial(number);
    await world.advance(60);
    expect(call.final?.status).toBe(200);
    expect(trunk.calls.map(nonceOf)).toEqual([undefined, "n1", "n2"]);
  },
);

test("a trunk whose nonces are always stale is given up for the next one", async () => {
  const world = await withPasswords();
  world.direct.script = (call) => challenges(call, "n", true);
  const call = world.dial("911");
  await world.advance(60);
  expect(call.final?.status).toBe(200);
  expect(world.direct.calls).toHaveLength(4);
  expect(world.lte.calls).toHaveLength(1);
});

test("a password that the trunk does not take is proved once", async () => {
  const world = await withPasswords();
  world.direct.script = (call) => challenges(call, "n", false);
  const call = world.dial("911");
  await world.advance(60);
  expect(call.final?.status).toBe(200);
  expect(world.direct.calls).toHaveLength(2);
});
