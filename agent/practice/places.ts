/**
 * Where everything of one practice site is: loopback addresses only. Several sites may run on one machine, so each has
 * a number of its own, which is the third octet.
 */
export interface Places {
  readonly number: number;
  readonly phones: Readonly<Record<PhoneNumber, string>>;
  readonly wan: {
    readonly box: string;
    readonly pbx: string;
    readonly carrier: string;
    readonly stun: string;
    readonly broker: string;
  };
  readonly lte: { readonly box: string; readonly carrier: string; readonly broker: string };
}

export const PHONES = ["101", "102", "103"] as const;
export type PhoneNumber = (typeof PHONES)[number];

export const PBX_DOMAIN = "pbx.practice.example";
export const CARRIER_DOMAIN = "carrier.practice.example";
/** Numbers reserved for fiction (555-01xx). */
export const MAIN_NUMBER = "+13035550100";
export const OUTSIDE_NUMBER = "+13035550199";

/** The public number of an extension. */
export function publicNumber(extension: string): string {
  return `+13035550${extension}`;
}

/** What each party sends while it talks, in Hz: apart enough to be told from each other and from ringback and busy. */
export const VOICES = {
  "101": 700,
  "102": 900,
  "103": 1100,
  outside: 1300,
  "933": 1500,
} as const satisfies Record<PhoneNumber | "outside" | "933", number>;

export function placesOf(number: number): Places {
  return {
    number,
    phones: { "101": `127.0.${number}.101`, "102": `127.0.${number}.102`, "103": `127.0.${number}.103` },
    wan: {
      box: `127.10.${number}.2`,
      pbx: `127.10.${number}.10`,
      carrier: `127.10.${number}.20`,
      stun: `127.10.${number}.30`,
      broker: `127.10.${number}.40`,
    },
    lte: { box: `127.20.${number}.2`, carrier: `127.20.${number}.20`, broker: `127.20.${number}.40` },
  };
}

export function isPhone(number: string): number is PhoneNumber {
  return (PHONES as readonly string[]).includes(number);
}
