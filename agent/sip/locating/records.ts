/** The DNS records that locating a SIP server needs, already checked: names in lower case without the final dot. */
export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly service: string;
  readonly regexp: string;
  readonly replacement: string;
}

export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

export interface Question {
  readonly name: string;
  readonly type: "NAPTR" | "SRV" | "A" | "AAAA";
}

/** The records of one question; empty lists where there are none. */
export type Records =
  | { readonly type: "NAPTR"; readonly naptr: readonly NaptrRecord[] }
  | { readonly type: "SRV"; readonly srv: readonly SrvRecord[] }
  | { readonly type: "A" | "AAAA"; readonly addresses: readonly string[] };

export interface Answer {
  readonly question: Question;
  readonly records: Records;
}
