/**
 * SIPp's scenarios as text. A step is one XML element; SIPp plays them in order, one copy per call. A message is written
 * with plain line ends and SIPp's own `[keywords]`, which it fills in; headers and body are parted by an empty line.
 */
export type Step = string;

export const scenario = (name: string, steps: readonly Step[]): string =>
  `<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="${name}">\n${steps.join("\n")}\n</scenario>\n`;

export interface SendOptions {
  /** Over UDP it is sent again after this many ms, doubling, until the next expected message comes. */
  readonly retransmitted_ms?: number;
  /** Where to go on after it; the default is the next step. */
  readonly next?: string;
}

export function send(text: string, options: SendOptions = {}): Step {
  const { retransmitted_ms, next } = options;
  return `<send${attributes({ retrans: retransmitted_ms, next })}><![CDATA[\n${text}\n]]></send>`;
}

export interface ReceiveOptions {
  /** It need not come: SIPp then matches the next step's message. The last of a row must not be optional. */
  readonly optional?: boolean;
  /** Where to go on once it has come. */
  readonly next?: string;
  /** How long it is waited for, and where to go on when it has not come. */
  readonly timeout_ms?: number;
  readonly on_timeout?: string;
  /** What is done with it, as XML: `<ereg …/>`, `<log …/>`, … */
  readonly actions?: readonly string[];
}

function receive(kind: Record<string, string | boolean | undefined>, options: ReceiveOptions): Step {
  const { optional, next, timeout_ms, on_timeout, actions = [] } = options;
  const all = attributes({ ...kind, optional, next, timeout: timeout_ms, ontimeout: on_timeout });
  return actions.length === 0 ? `<recv${all}/>` : `<recv${all}><action>${actions.join("")}</action></recv>`;
}

export const receiveRequest = (method: string, options: ReceiveOptions & { readonly routes?: boolean } = {}): Step =>
  receive({ request: method, rrs: options.routes }, options);

export interface ResponseOptions extends ReceiveOptions {
  /** Its challenge is kept for the `[authentication username=… password=…]` of the next request. */
  readonly challenge?: boolean;
  /** Its Record-Route and Contact are kept for `[routes]` and `[next_url]`. */
  readonly routes?: boolean;
}

export const receiveResponse = (status: number, options: ResponseOptions = {}): Step =>
  receive({ response: String(status), auth: options.challenge, rrs: options.routes }, options);

export const pause = (ms: number): Step => `<pause milliseconds="${ms}"/>`;
/** Like a pause in which a request may be repeated: that would end a pause, or hang SIPp in it. */
export const saysNothing = (ms: number): Step =>
  `${receiveRequest("NOTHING", { timeout_ms: ms, on_timeout: `after-${ms}` })}\n${label(`after-${ms}`)}`;
export const label = (id: string): Step => `<label id="${id}"/>`;
export const goTo = (id: string): Step => `<nop next="${id}"/>`;

/** Sends a file of raw µ-law to the other end again and again, from `[rtpstream_audio_port]`: see `sdp`. */
export const play = (file: string): Step => `<nop><action><exec rtp_stream="${file},-1,0"/></action></nop>`;

/** Content-Type, Content-Length and a description of one PCMU stream; `port` may be a keyword of SIPp's. */
export const sdp = (host = "[media_ip]", port: string | number = "[media_port]", session = "1 1"): string =>
  `Content-Type: application/sdp
Content-Length: [len]

v=0
o=- ${session} IN IP[local_ip_type] ${host}
s=-
c=IN IP[local_ip_type] ${host}
t=0 0
m=audio ${port} RTP/AVP 0
a=rtpmap:0 PCMU/8000
`;

export const noBody = "Content-Length: 0\n";

export interface ReplyOptions extends SendOptions {
  /** Header lines of one's own. */
  readonly headers?: readonly string[];
  /** From Content-Type on (see `sdp`); default: none. */
  readonly body?: string;
  /** A To-tag other than this call's own: a fork's. `false`: none is added, as within a dialog or for a 100. */
  readonly tag?: string | false;
  /** The Contact; default is this SIPp. `false`: none. */
  readonly contact?: string | false;
}

const OWN_TAG = "[pid]-[call_number]";
const OWN_CONTACT = "<sip:sipp@[local_ip]:[local_port];transport=[transport]>";

function responseText(status: string, copied: string, options: ReplyOptions): string {
  const contact = options.contact ?? OWN_CONTACT;
  const own = [...(contact === false ? [] : [`Contact: ${contact}`]), ...(options.headers ?? [])];
  return `SIP/2.0 ${status}\n${copied}\n${own.map((line) => `${line}\n`).join("")}${options.body ?? noBody}`;
}

const toTag = (tag: string | false | undefined): string => (tag === false ? "" : `;tag=${tag ?? OWN_TAG}`);

/** Answers the message that came last, whatever it was: `status` is the code with its phrase. */
export function reply(status: string, options: ReplyOptions = {}): Step {
  const copied = `[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:]${toTag(options.tag)}
[last_Call-ID:]
[last_CSeq:]`;
  return send(responseText(status, copied, options), options);
}

/** Of an INVITE that came by a proxy: it records its route at the top, so that this is every Via and Record-Route. */
const UP_TO_FROM = { regexp: "Record-Route:.*From:", where: 'search_in="msg"', variable: "invite_up_to_From" } as const;

const CONTACT_URI = {
  regexp: "sips?:[^&gt;]*",
  where: 'search_in="hdr" header="Contact:"',
  variable: "invite_target",
} as const;

/**
 * Takes the INVITE and keeps what answers to it must copy, for `answerInvite`: other requests may come between.
 * `proxied`: it has several lines of Via and of Record-Route, of which SIPp keeps the first alone when asked for them.
 */
export function takeInvite(options: ReceiveOptions & { readonly proxied?: boolean } = {}): Step {
  const line = (header: string) =>
    ({ regexp: ".*", where: `search_in="hdr" header="${header}:"`, variable: `invite_${header}` }) as const;
  const kept = [options.proxied ? UP_TO_FROM : line("Via"), ...["From", "To", "CSeq"].map(line), CONTACT_URI];
  const actions = kept.map(
    ({ regexp, where, variable }) => `<ereg regexp="${regexp}" ${where} assign_to="${variable}"/>`,
  );
  const received = receiveRequest("INVITE", { ...options, actions: [...actions, ...(options.actions ?? [])] });
  // SIPp refuses a scenario that keeps something and never uses it.
  return `${received}\n<Reference variables="${kept.map(({ variable }) => variable).join(",")}"/>`;
}

/** Answers the INVITE that `takeInvite` took, `proxied` as there. */
export function answerInvite(status: string, options: ReplyOptions & { readonly proxied?: boolean } = {}): Step {
  const copied = `${options.proxied ? "[$invite_up_to_From]" : "Via: [$invite_Via]\nFrom:"} [$invite_From]
To: [$invite_To]${toTag(options.tag)}
[last_Call-ID:]
CSeq: [$invite_CSeq]`;
  return send(responseText(status, copied, options), options);
}

/** A request to who sent the INVITE that `takeInvite` took, within the dialog that `answerInvite` made. */
export function requestBack(
  method: string,
  cseq: number,
  options: Pick<RequestOptions, "headers" | "body" | "retransmitted_ms"> = {},
): Step {
  const lines = [`Contact: ${OWN_CONTACT}`, ...(options.headers ?? [])];
  const text = `${method} [$invite_target] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: [$invite_To];tag=${OWN_TAG}
To: [$invite_From]
[last_Call-ID:]
CSeq: ${cseq} ${method}
Max-Forwards: 70
${lines.map((each) => `${each}\n`).join("")}${options.body ?? noBody}`;
  return send(text, options);
}

/**
 * A request of the caller's: its dialog is kept by the fixed From-tag and by `[peer_tag_param]`; within a dialog `target`
 * is `[next_url]`, with `[routes]` among the headers.
 */
export interface RequestOptions extends SendOptions {
  readonly from: string;
  readonly to: string;
  readonly cseq: number;
  /** The method in CSeq where it is not the request's own, and the branch of the INVITE: for ACK to an error, CANCEL. */
  readonly branch?: string;
  readonly to_tag?: boolean;
  readonly headers?: readonly string[];
  readonly body?: string;
}

export function request(method: string, target: string, options: RequestOptions): Step {
  const text = `${method} ${target} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=${options.branch ?? "[branch]"}
From: <${options.from}>;tag=${OWN_TAG}
To: <${options.to}>${options.to_tag ? "[peer_tag_param]" : ""}
Call-ID: [call_id]
CSeq: ${options.cseq} ${method}
Max-Forwards: 70
${(options.headers ?? []).map((line) => `${line}\n`).join("")}${options.body ?? noBody}`;
  return send(text, options);
}

function attributes(all: Record<string, string | number | boolean | undefined>): string {
  const given = Object.entries(all).filter(([, value]) => value !== undefined && value !== false);
  return given.map(([name, value]) => ` ${name}="${value}"`).join("");
}
