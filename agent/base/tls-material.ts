/** Adapter: what OpenSSL, which has to serve it in the end, says of a certificate chain and its key. */
import { createSecureContext } from "node:tls";
import { errorText } from "./errors.ts";

/** Why no TLS server could show it (a chain cut off in its second half, a key that is too short); undefined when one could. */
export function unusable(certificate_pem: string, key_pem: string): string | undefined {
  try {
    createSecureContext({ cert: certificate_pem, key: key_pem });
    return undefined;
  } catch (error) {
    return errorText(error);
  }
}
