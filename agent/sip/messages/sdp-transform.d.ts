/** What is used of sdp-transform 3, which brings no types. Numbers come as numbers only where they are plain integers. */
declare module "sdp-transform" {
  type Field = string | number;

  export interface ParsedMedia {
    readonly rtp: readonly { payload?: Field; codec?: Field; rate?: Field; encoding?: Field }[];
    readonly fmtp: readonly { payload?: Field; config?: Field }[];
    readonly direction?: Field;
    readonly ptime?: Field;
    readonly crypto?: readonly unknown[];
    readonly fingerprint?: unknown;
    readonly candidates?: readonly unknown[];
    readonly rtcpMux?: Field;
  }

  export interface ParsedSession {
    readonly origin?: {
      username?: Field;
      sessionId?: Field;
      sessionVersion?: Field;
      ipVer?: Field;
      address?: Field;
    };
    readonly name?: Field;
    readonly direction?: Field;
    readonly fingerprint?: unknown;
    readonly media: readonly ParsedMedia[];
  }

  const sdpTransform: { parse(text: string): ParsedSession };
  export default sdpTransform;
}
