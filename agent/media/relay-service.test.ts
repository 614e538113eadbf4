import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Relay } from "./relay.ts";
import { answerRelay } from "./relay-service.ts";

/** Answers every method with the arguments it was given. */
const echo = new Proxy({} as Relay, {
  get:
    (_, method) =>
    async (...args: unknown[]) => [method, ...args],
});

const PEER = { address: "127.0.0.1", port: 4000, accept_from: ["127.0.0.1"] };
const TONE = { kind: "tone", frequencies_hz: [440, 480], on_ms: 2000, off_ms: 4000, repeat: 0 };

describe("questions over the link", () => {
  test.each([
    ["open", { id: "a", call_id: "c", local_address: "127.0.0.1", emergency: true }],
    ["setPeer", "a", PEER],
    ["setPeer", "a", { ...PEER, rtcp_port: 4001 }],
    ["bridge", "a", "b"],
    ["unbridge", "a"],
    ["play", "a", { payload_type: 8, sound: TONE }],
    ["play", "a", { payload_type: 0, sound: { kind: "announcement", name: "dial-again" } }],
    ["stop", "a"],
    ["close", "a"],
    ["closeCall", "c"],
    ["list"],
  ])("%s reaches the relay with its arguments", async (method, ...args) => {
    expect(await answerRelay(echo, method, args)).toEqual([method, ...args]);
  });

  test.each([
    ["reap", 0],
    ["constructor"],
    ["connected"],
    ["open"],
    ["open", { id: "a", call_id: "c", local_address: "127.0.0.1" }],
    ["open", { id: "", call_id: "c", local_address: "127.0.0.1", emergency: true }],
    ["open", { id: "a".repeat(257), call_id: "c", local_address: "127.0.0.1", emergency: true }],
    ["setPeer", "a", { ...PEER, port: "4000" }],
    ["setPeer", "a", { ...PEER, rtcp_port: null }],
    ["setPeer", "a", { ...PEER, accept_from: [7] }],
    ["bridge", "a"],
    ["play", "a", { payload_type: 9, sound: TONE }],
    ["play", "a", { payload_type: 0, sound: { ...TONE, repeat: null } }],
    ["play", "a", { payload_type: 0 }],
    ["close", 7],
  ])("a malformed %s is refused", async (method, ...args) => {
    await expect(answerRelay(echo, method, args)).rejects.toMatchObject({ code: "media.refused" });
  });

  test("no question does anything but succeed or be refused", async () => {
    const method = fc.oneof(fc.constantFrom("open", "setPeer", "bridge", "play", "close", "list"), fc.string());
    await fc.assert(
      fc.asyncProperty(method, fc.array(fc.jsonValue(), { maxLength: 3 }), async (name, args) => {
        const code = await answerRelay(echo, name, args).then(
          () => "media.refused",
          (error) => error.code,
        );
        expect(code).toBe("media.refused");
      }),
    );
  });
});
