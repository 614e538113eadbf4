import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import { decodeText } from "../messages/wire-text.ts";
import {
  type Algorithm,
  answerChallenge,
  type Challenge,
  chooseChallenge,
  ha1Of,
  makeChallenge,
  NonceBook,
  parseAuthorization,
  parseChallenge,
  type Secret,
  verifyDigest,
} from "./digest.ts";

function challengeOf(value: string): Challenge {
  const challenge = parseChallenge(value);
  if (challenge === undefined) throw new Error(`no challenge: ${value}`);
  return challenge;
}

function answered(
  challenge: Challenge,
  secret: Secret,
  others: { method?: string; username?: string; nc?: number } = {},
) {
  const answer = answerChallenge({
    challenge,
    method: "REGISTER",
    uri: "sip:pbx.example.com",
    username: "101",
    nc: 1,
    cnonce: "0a4f113b",
    ...others,
    ...secret,
  });
  if (!answer.ok) throw new Error(answer.reason);
  return answer.value;
}

function authorizationOf(value: string) {
  const authorization = parseAuthorization(value);
  if (authorization === undefined) throw new Error(`no authorization: ${value}`);
  return authorization;
}

describe("published examples", () => {
  const challenge: Challenge = {
    realm: "http-auth@example.org",
    nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    qop: ["auth"],
    stale: false,
  };
  const input = {
    method: "GET",
    uri: "/dir/index.html",
    username: "Mufasa",
    nc: 1,
    cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
  };

  test.each([
    ["MD5", "8ca523f5e9506fed4657c9700eebdbec"],
    ["SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"],
  ] as [Algorithm, string][])("RFC 7616 §3.9.1 with %s, by password and by HA1", (algorithm, response) => {
    const ha1 = ha1Of(algorithm, "Mufasa", challenge.realm, "Circle of Life");
    for (const secret of [{ password: "Circle of Life" }, { ha1 }, { ha1: ha1.toUpperCase() }]) {
      const answer = answerChallenge({ ...input, challenge: { ...challenge, algorithm }, ...secret });
      expect(answer.ok && parseAuthorization(answer.value)?.response).toBe(response);
    }
  });

  test("RFC 2617 §3.5", () => {
    const old = { ...challenge, realm: "testrealm@host.com", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093" };
    const answer = answerChallenge({ ...input, challenge: old, password: "Circle Of Life", cnonce: "0a4f113b" });
    expect(answer.ok && parseAuthorization(answer.value)?.response).toBe("6629fae49393a05397450978507c4ef1");
  });
});

test("the hash is over the bytes as they stand on the wire, UTF-8 or not", () => {
  const md5 = (bytes: Buffer) => createHash("md5").update(bytes).digest("hex");
  expect(ha1Of("MD5", "zoë", "r", "日本")).toBe(md5(Buffer.from("zoë:r:日本", "utf8")));
  expect(ha1Of("MD5", decodeText(Buffer.from("zo\xeb", "latin1")), "r", "p")).toBe(
    md5(Buffer.from("zo\xeb:r:p", "latin1")),
  );
});

describe("reading challenges", () => {
  test("quoted and unquoted parameters, any case, any order, unknown ones", () => {
    expect(
      parseChallenge(
        'DIGEST  Nonce=abc , realm = "a, \\"b\\"" ,qop="auth-int, AUTH",STALE=TRUE, algorithm="md5",opaque="",x=y,',
      ),
    ).toEqual({ realm: 'a, "b"', nonce: "abc", opaque: "", algorithm: "md5", qop: ["auth-int", "auth"], stale: true });
    expect(parseChallenge('Digest realm="r", nonce="n", qop=auth')?.qop).toEqual(["auth"]);
    expect(parseChallenge('Digest realm="r", nonce="n"')).toEqual({ realm: "r", nonce: "n", qop: [], stale: false });
  });

  test.each([
    ['Basic realm="r"'],
    ['Digest realm="r"'],
    ['Digest nonce="n"'],
    ["Digest"],
    [""],
    ['Digest realm="r", nonce="n", realm="s"'],
    ['Digest realm="r", nonce="n", =x'],
    ['Digest realm="r", nonce="n", lone'],
  ])("%s is refused", (value) => {
    expect(parseChallenge(value)).toBeUndefined();
  });

  test("the first that can be answered is chosen", () => {
    const of = (algorithm: string, qop = "auth") =>
      `Digest realm="r", nonce="${algorithm}", algorithm=${algorithm}, qop="${qop}"`;
    expect(
      chooseChallenge(["NTLM x", of("SHA3-256"), of("SHA-256", "auth-conf"), of("sha-256"), of("MD5")])?.nonce,
    ).toBe("sha-256");
    expect(chooseChallenge([of("AKAv1-MD5")])).toBeUndefined();
    expect(chooseChallenge([])).toBeUndefined();
  });
});

describe("answering challenges", () => {
  test("parameters are quoted as RFC 3261 §25.1 has them; realm, nonce and opaque go back as they came", () => {
    const challenge = challengeOf(
      'Digest realm="a \\"b\\"", nonce="n\\\\1", opaque="o", algorithm=md5, qop="auth,auth-int"',
    );
    const value = answered(challenge, { password: "p" }, { nc: 26, username: 'DOM\\"u' });
    expect(value).toMatch(
      /^Digest username="DOM\\\\\\"u", realm="a \\"b\\"", nonce="n\\\\1", uri="sip:pbx.example.com", /,
    );
    expect(value).toMatch(/, algorithm=MD5, qop=auth, nc=0000001a, cnonce="0a4f113b", opaque="o"$/);
  });

  test("a challenge without qop is answered in the older form, one without algorithm without it", () => {
    const value = answered(challengeOf('Digest realm="r", nonce="n"'), { password: "p" });
    expect(value).not.toMatch(/qop|nc=|cnonce|algorithm|opaque/);
  });

  test.each([
    ['Digest realm="r", nonce="n", algorithm=SHA3-256-sess', "unsupported algorithm SHA3-256-sess"],
    ['Digest realm="r", nonce="n", algorithm=AKAv1-MD5', "unsupported algorithm AKAv1-MD5"],
    ['Digest realm="r", nonce="n", qop="auth-conf"', "unsupported qop auth-conf"],
  ])("%s is refused by name", (value, reason) => {
    const challenge = challengeOf(value);
    const input = { method: "INVITE", uri: "sip:a", username: "u", password: "p", nc: 1, cnonce: "c" };
    expect(answerChallenge({ challenge, ...input })).toEqual({ ok: false, reason });
  });
});

describe("verifying credentials", () => {
  const setUp = (algorithm: Algorithm = "MD5") => {
    const clock = new ManualClock(5_000);
    const nonces = new NonceBook({ clock, lifetime_ms: 60_000 });
    const challenge = challengeOf(makeChallenge({ realm: "holdfast", nonces, algorithm }));
    const verify = (
      value: string,
      others: Partial<{ method: string; realm: string; algorithms: Algorithm[] }> = {},
      secret: Secret = { password: "secret" },
    ) =>
      verifyDigest({
        authorization: authorizationOf(value),
        method: "REGISTER",
        realm: "holdfast",
        nonces,
        algorithms: [algorithm],
        ...others,
        ...secret,
      });
    return { clock, nonces, challenge, verify };
  };
  const right: Secret = { password: "secret" };

  test.each(["MD5", "SHA-256"] as Algorithm[])("%s: right by password and by HA1, wrong otherwise", (algorithm) => {
    const { challenge, verify } = setUp(algorithm);
    expect(challenge).toMatchObject({ algorithm, qop: ["auth"], stale: false });
    expect(verify(answered(challenge, right))).toEqual({ ok: true });
    const ha1 = ha1Of(algorithm, "101", "holdfast", "secret");
    expect(verify(answered(challenge, { ha1 }, { nc: 2 }), {}, { ha1 })).toEqual({ ok: true });
    const wrong = { ok: false, reason: "wrong" };
    expect(verify(answered(challenge, { password: "guess" }, { nc: 3 }))).toMatchObject(wrong);
    expect(verify(answered(challenge, right, { nc: 3, username: "102" }).replace('"102"', '"101"'))).toMatchObject(
      wrong,
    );
    expect(verify(answered(challenge, right, { nc: 3 }), { method: "INVITE" })).toMatchObject(wrong);
    expect(verify(answered(challenge, right, { nc: 3 }), { realm: "other" })).toMatchObject(wrong);
    expect(verify(answered(challenge, right, { nc: 3 }).replace("nc=00000003", "nc=00000004"))).toMatchObject(wrong);
    expect(verify(answered(challenge, right, { nc: 3 }))).toEqual({ ok: true });
  });

  test("HA1 of our realm does not let in credentials that name another realm", () => {
    const { challenge, verify } = setUp();
    const ha1 = ha1Of("MD5", "101", "holdfast", "secret");
    expect(verify(answered({ ...challenge, realm: "other" }, { ha1 }), {}, { ha1 })).toMatchObject({ reason: "wrong" });
  });

  test("the response may be in capitals, the algorithm and qop quoted and in any case", () => {
    const { challenge, verify } = setUp();
    const value = answered(challenge, right)
      .replace(/response="([0-9a-f]+)"/, (_, hex: string) => `response="${hex.toUpperCase()}"`)
      .replace("algorithm=MD5", 'algorithm="md5"')
      .replace("qop=auth", 'qop="AUTH"')
      .replace("nc=00000001", 'nc="00000001"');
    expect(verify(value)).toEqual({ ok: true });
  });

  test("the same nonce count again is a replay: stale, so that an honest phone tries anew", () => {
    const { challenge, verify } = setUp();
    const value = answered(challenge, right);
    expect(verify(value)).toEqual({ ok: true });
    expect(verify(value)).toEqual({ ok: false, reason: "stale", detail: "nonce replayed" });
    expect(verify(answered(challenge, right, { nc: 2 }))).toEqual({ ok: true });
  });

  test("a wrong response does not use up a nonce count", () => {
    const { challenge, verify, nonces } = setUp();
    expect(verify(answered(challenge, { password: "guess" }))).toMatchObject({ reason: "wrong" });
    expect(nonces.size).toBe(0);
    expect(verify(answered(challenge, right))).toEqual({ ok: true });
  });

  test("an expired nonce is stale when the response is right, wrong when it is not", () => {
    const { challenge, clock, verify } = setUp();
    clock.advance(60_001);
    expect(verify(answered(challenge, right))).toEqual({ ok: false, reason: "stale", detail: "nonce expired" });
    expect(verify(answered(challenge, { password: "guess" }))).toMatchObject({ reason: "wrong" });
  });

  test("a nonce of somebody else, or of an earlier run of ours, is stale", () => {
    const { challenge, verify } = setUp();
    const earlier = new NonceBook({ clock: new ManualClock() }).issue();
    for (const nonce of ["made-up", earlier, ""]) {
      expect(verify(answered({ ...challenge, nonce }, right))).toEqual({
        ok: false,
        reason: "stale",
        detail: "nonce unknown",
      });
    }
  });

  test("the form without qop is taken once for each nonce", () => {
    const { challenge, verify } = setUp();
    const value = answered({ ...challenge, qop: [] }, right);
    expect(verify(value)).toEqual({ ok: true });
    expect(verify(value)).toMatchObject({ reason: "stale" });
    expect(verify(answered(challenge, right))).toMatchObject({ reason: "stale" });
  });

  test("an algorithm or qop that was not offered is named", () => {
    const { challenge, verify } = setUp();
    const value = answered(challenge, right);
    expect(verify(value.replace("algorithm=MD5", "algorithm=SHA-256"))).toMatchObject({ reason: "unsupported" });
    expect(verify(value.replace("algorithm=MD5", "algorithm=MD5-sess"))).toMatchObject({ reason: "unsupported" });
    expect(verify(value.replace("qop=auth", "qop=auth-int"))).toMatchObject({ reason: "unsupported" });
  });

  test.each([
    ["no nc", ", nc=00000001", ""],
    ["a short nc", "nc=00000001", "nc=1"],
    ["an nc that is no number", "nc=00000001", "nc=0000000g"],
    ["no cnonce", ', cnonce="0a4f113b"', ""],
  ])("qop with %s is wrong", (_, from, to) => {
    const { challenge, verify } = setUp();
    expect(verify(answered(challenge, right).replace(from, to))).toMatchObject({ ok: false, reason: "wrong" });
  });

  test("a stale challenge says so", () => {
    const { nonces } = setUp();
    expect(parseChallenge(makeChallenge({ realm: 'r"1', nonces, stale: true }))).toMatchObject({
      realm: 'r"1',
      stale: true,
    });
  });

  test("user names and passwords of any characters verify, Latin-1 bytes included", () => {
    const anyText = fc.string({ unit: fc.constantFrom(...'aé日\u{1F600}\uDCEB"\\ ,=;:'), maxLength: 12 });
    fc.assert(
      fc.property(anyText, anyText, (username, password) => {
        const { challenge, nonces } = setUp();
        const authorization = authorizationOf(answered(challenge, { password }, { username }));
        expect(authorization.username).toBe(username);
        expect(verifyDigest({ authorization, method: "REGISTER", realm: "holdfast", nonces, password })).toEqual({
          ok: true,
        });
      }),
    );
  });

  test("no text throws, and none of it is let in", () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.constantFrom(
        "Digest ",
        "username=",
        "realm=",
        "nonce=",
        "uri=",
        "response=",
        '"',
        ",",
        "\\",
        "=",
        "qop=auth",
        "nc=00000001",
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
        const value = `Digest ${pieces.join("")}`;
        parseChallenge(value);
        const authorization = parseAuthorization(value);
        if (authorization === undefined) return;
        const { nonces } = setUp();
        expect(verifyDigest({ authorization, method: "REGISTER", realm: "holdfast", nonces, password: "p" }).ok).toBe(
          false,
        );
      }),
    );
  });
});
