import type { ExtensionConfig, SiteConfig } from "../../base/config/schema.ts";
import { token } from "../../base/ids.ts";
import {
  answerChallenge,
  type Challenge,
  chooseChallenge,
  parseChallenge,
  type Secret,
  toAlgorithm,
} from "../../sip/auth/digest.ts";
import { headerValues } from "../../sip/messages/headers.ts";
import type { Header, SipRequest, SipResponse } from "../../sip/messages/message.ts";
import type { Trunk } from "../trunks/trunk.ts";

/** Answers a 401 or 407 with what the box knows: the header to add, or undefined where only the caller can. */
export type Answerer = (
  challenge: SipResponse,
  request: Pick<SipRequest, "method" | "uri" | "body">,
) => Header | undefined;

/**
 * The trunk's own credentials; on a PBX without such, the provisioned secret (HA1) of the calling extension, which is
 * good only for the realm it was made for.
 */
export function answererFor(trunk: Trunk, extension: ExtensionConfig | undefined, config: SiteConfig): Answerer {
  const pbx = config.pbx_targets.find(({ id }) => id === trunk.id);
  return (response, { method, uri, body }) => {
    const proxy = response.status === 407;
    const values = headerValues(response, proxy ? "Proxy-Authenticate" : "WWW-Authenticate");
    for (const { challenge, username, secret } of candidates(values, trunk, extension, pbx?.realm ?? pbx?.domain)) {
      const answer = answerChallenge({ ...secret, challenge, method, uri, body, username, nc: 1, cnonce: token() });
      if (answer.ok) return { name: proxy ? "Proxy-Authorization" : "Authorization", value: answer.value };
    }
    return undefined;
  };
}

interface Candidate {
  readonly challenge: Challenge;
  readonly username: string;
  readonly secret: Secret;
}

function candidates(
  values: readonly string[],
  trunk: Trunk,
  extension: ExtensionConfig | undefined,
  realm: string | undefined,
): Candidate[] {
  if (trunk.credentials !== undefined) {
    const challenge = chooseChallenge(values);
    const { username, password } = trunk.credentials;
    return challenge === undefined ? [] : [{ challenge, username, secret: { password } }];
  }
  if (extension === undefined || realm === undefined) return [];
  return values.flatMap((value) => {
    const challenge = parseChallenge(value);
    if (challenge?.realm !== realm) return [];
    const algorithm = toAlgorithm(challenge.algorithm)?.algorithm;
    const ha1 = algorithm === "SHA-256" ? extension.ha1_sha256 : algorithm === "MD5" ? extension.ha1_md5 : undefined;
    return ha1 === undefined ? [] : [{ challenge, username: extension.username, secret: { ha1 } }];
  });
}

/** The answer to the last challenge was right, its nonce has only expired: worth one more (RFC 7616 §3.3). */
export function isStale(response: SipResponse): boolean {
  const values = headerValues(response, response.status === 407 ? "Proxy-Authenticate" : "WWW-Authenticate");
  return values.some((value) => parseChallenge(value)?.stale === true);
}
