/** Digest with the algorithms of RFC 8760 and what RFC 7616 has beside them, on both sides. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/manual-clock.ts";
import {
  type Algorithm,
  answerChallenge,
  type Challenge,
  chooseChallenge,
  makeChallenge,
  NonceBook,
  parseAuthorization,
  parseChallenge,
  verifyDigest,
} from "./digest.ts";

const ALGORITHMS: readonly Algorithm[] = ["MD5", "SHA-256", "SHA-512-256"];
const digest = (algorithm: Algorithm, text: string) =>
  createHash({ MD5: "md5", "SHA-256": "sha256", "SHA-512-256": "sha512-256" }[algorithm]).update(text).digest("hex");

const input = { method: "INVITE", uri: "sip:bob@example.org", username: "bob", nc: 2, cnonce: "c" } as const;

function answer(challenge: Partial<Challenge>, body?: string) {
  const given = answerChallenge({
    ...input,
    challenge: { realm: "r", nonce: "n", qop: ["auth"], stale: false, ...challenge },
    password: "p",
    ...(body === undefined ? {} : { body: Buffer.from(body) }),
  });
  const parsed = given.ok ? parseAuthorization(given.value) : undefined;
  if (parsed === undefined) throw new Error("no answer");
  return parsed;
}

describe("the client", () => {
  test("the example of RFC 7616 §3.9.2 as its erratum 4897 has it: SHA-512-256 and a hashed user name", () => {
    const given = answerChallenge({
      challenge: {
        realm: "api@example.org",
        nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        algorithm: "SHA-512-256",
        qop: ["auth"],
        stale: false,
        userhash: true,
      },
      method: "GET",
      uri: "/doe.json",
      username: "Jäsøn Doe",
      password: "Secret, or not?",
      nc: 1,
      cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    });
    expect(given.ok && parseAuthorization(given.value)).toMatchObject({
      username: "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
      response: "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
      userhash: "true",
    });
  });

  test.each(ALGORITHMS)("%s: the -sess variant hashes nonce and cnonce into the secret", (algorithm) => {
    const a1 = digest(algorithm, `${digest(algorithm, "bob:r:p")}:n:c`);
    const a2 = digest(algorithm, "INVITE:sip:bob@example.org");
    const given = answer({ algorithm: `${algorithm}-sess` });
    expect(given.response).toBe(digest(algorithm, `${a1}:n:00000002:c:auth:${a2}`));
    expect(given).toMatchObject({ algorithm: `${algorithm}-sess`, qop: "auth", cnonce: "c" });
    const old = answer({ algorithm: `${algorithm}-sess`, qop: [] });
    expect(old.response).toBe(digest(algorithm, `${a1}:n:${a2}`));
    expect(old.cnonce).toBe("c");
  });

  test.each(ALGORITHMS)("%s: auth-int covers the body, and is used only where auth is not offered", (algorithm) => {
    const a2 = digest(algorithm, `INVITE:sip:bob@example.org:${digest(algorithm, "v=0\r\n")}`);
    const given = answer({ algorithm, qop: ["auth-int"] }, "v=0\r\n");
    expect(given.response).toBe(digest(algorithm, `${digest(algorithm, "bob:r:p")}:n:00000002:c:auth-int:${a2}`));
    expect(given.qop).toBe("auth-int");
    expect(answer({ algorithm, qop: ["auth-int", "auth"] }, "v=0\r\n").qop).toBe("auth");
    const empty = digest(algorithm, `INVITE:sip:bob@example.org:${digest(algorithm, "")}`);
    expect(answer({ algorithm, qop: ["auth-int"] }).response).toBe(
      digest(algorithm, `${digest(algorithm, "bob:r:p")}:n:00000002:c:auth-int:${empty}`),
    );
  });

  test("of several challenges the topmost that it can answer counts (RFC 8760 §2.4)", () => {
    const of = (algorithm: string, qop = "auth") => `Digest realm="r", nonce="n", algorithm=${algorithm}, qop="${qop}"`;
    const chosen = (...values: string[]) => chooseChallenge(values)?.algorithm;
    expect(chosen(of("SHA-512-256"), of("SHA-256"), of("MD5"))).toBe("SHA-512-256");
    expect(chosen(of("SHA3-256"), of("SHA-256"), of("MD5"))).toBe("SHA-256");
    expect(chosen(of("SHA-256", "auth-conf"), of("MD5"))).toBe("MD5");
    expect(chosen("Bearer realm=r", of("MD5"), of("SHA-256"))).toBe("MD5");
  });
});

describe("the server", () => {
  const nonces = new NonceBook({ clock: new ManualClock() });
  const answered = (algorithm: Algorithm, change: (value: string) => string = (value) => value) => {
    const challenge = parseChallenge(makeChallenge({ realm: "r", nonces, algorithm }));
    if (challenge === undefined) throw new Error("no challenge");
    const given = answerChallenge({ ...input, challenge, password: "p" });
    const authorization = given.ok ? parseAuthorization(change(given.value)) : undefined;
    if (authorization === undefined) throw new Error("no answer");
    return authorization;
  };
  const verify = (authorization: ReturnType<typeof answered>, algorithms: readonly Algorithm[]) =>
    verifyDigest({ authorization, method: "INVITE", realm: "r", nonces, algorithms, password: "p" });

  test.each(ALGORITHMS)("%s is offered, and its answer taken; not a weaker one than what was offered", (algorithm) => {
    expect(verify(answered(algorithm), [algorithm])).toEqual({ ok: true });
    for (const other of ALGORITHMS) {
      if (other !== algorithm) expect(verify(answered(other), [algorithm])).toMatchObject({ reason: "unsupported" });
    }
  });

  test("a -sess variant, auth-int and a hashed user name are refused by name, as they are never offered", () => {
    for (const change of [
      (value: string) => value.replace("algorithm=SHA-256", "algorithm=SHA-256-sess"),
      (value: string) => value.replace("qop=auth", "qop=auth-int"),
      (value: string) => `${value}, userhash=true`,
    ]) {
      expect(verify(answered("SHA-256", change), ["SHA-256"])).toMatchObject({ ok: false, reason: "unsupported" });
    }
  });
});
