import { canonicalName } from "./headers.ts";
import type { SipMessage } from "./message.ts";
import { parseDecimal } from "./syntax.ts";
import { encodeText } from "./wire-text.ts";

/**
 * The message's bytes: headers in their order, names and values as they stand, and a right Content-Length, which is
 * corrected in its place or added last. A line break inside a value becomes a space, so that no value can add a header.
 *
 * What was received is printed as the same bytes but for what RFC 3261 §7.3.1 lets mean the same: empty lines before the
 * start line and bytes after the body are gone, SIP/2.0 is in capitals, a header's colon has no blank before and one
 * after it, blanks at the end of a line are gone, a fold is one blank, every line ends with CRLF.
 */
export function printMessage(message: SipMessage): Uint8Array {
  const length = message.body.length;
  let text =
    message.kind === "request"
      ? `${oneLine(message.method)} ${oneLine(message.uri)} SIP/2.0\r\n`
      : `SIP/2.0 ${message.status} ${oneLine(message.reason)}\r\n`;
  let hasLength = false;
  for (const { name, value } of message.headers) {
    if (canonicalName(name) !== "Content-Length") text += `${oneLine(name)}: ${oneLine(value)}\r\n`;
    else if (!hasLength) {
      hasLength = true;
      text += `${name}: ${parseDecimal(value, length) === length ? value : length}\r\n`;
    }
  }
  text += hasLength ? "\r\n" : `Content-Length: ${length}\r\n\r\n`;
  const head = encodeText(text);
  return length === 0 ? head : Buffer.concat([head, message.body], head.length + length);
}

const LINE_BREAK = /[\r\n]/;

function oneLine(text: string): string {
  return LINE_BREAK.test(text) ? text.replace(/[\r\n]+/g, " ") : text;
}
