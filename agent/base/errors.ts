/**
 * Every error Holdfast raises on purpose, in one table: stable code, meaning, and what the reader should do.
 * A test holds docs/errors.md equal to it. A code is never reused for another meaning.
 */
export const ERRORS = {
  "config.missing": {
    meaning: "The site file does not exist or cannot be read.",
    action: "Give its path with --config, and check that it exists and may be read.",
  },
  "config.syntax": {
    meaning: "The site file is not well-formed YAML, perhaps half written.",
    action: "Correct the line named, or restore the last good copy.",
  },
  "config.invalid": {
    meaning: "The site file has keys or values that are not allowed.",
    action: "Correct each line listed; `holdfast check --config FILE` lists them all.",
  },
  "config.not_live": {
    meaning: "The site file names real equipment but does not say `live: true`.",
    action: "Set `live: true` to run a real site, or rehearse with `npm start` (practice).",
  },
  "practice.forbidden": {
    meaning: "Something tried to leave the machine, or to open real equipment, while everything is practice.",
    action: "Nothing was opened. A real site needs a site file with `live: true`.",
  },
  "number.emergency": {
    meaning: "A drill or test tried to use an emergency number.",
    action: "Use the carrier's test number (often 933).",
  },
  "link.version": {
    meaning: "Two Holdfast processes of different versions tried to talk.",
    action: "Restart both from the same release.",
  },
  "link.closed": {
    meaning: "The other process is away; the request was not carried out.",
    action: "It is restarted by itself; ask again shortly.",
  },
  "link.timeout": {
    meaning: "The other process did not answer in time.",
    action: "Ask again; if it repeats, look at that process's log.",
  },
  "link.refused": {
    meaning: "The other process refused the request.",
    action: "The text says why.",
  },
  "media.unreachable": {
    meaning: "The media process is away, so a call's sound cannot be relayed through the box.",
    action: "It is restarted by itself. Calls go on without a relay where the networks allow.",
  },
  "media.no_port": {
    meaning: "All media ports are in use or cannot be bound.",
    action: "Widen media.port_min–port_max, or look for another program on those ports.",
  },
  "media.unknown_endpoint": {
    meaning: "The media process does not know the endpoint named.",
    action: "It was closed or reaped; the call should open a new one.",
  },
  "media.refused": {
    meaning: "The media process was asked for something that it cannot do.",
    action: "The text says what; it is a fault in the program that asked.",
  },
  "sip.send": {
    meaning: "A SIP message could not be sent: the address cannot be reached from the path asked for.",
    action: "Look at the path's evidence on the status page.",
  },
  "sip.listen": {
    meaning: "A SIP port could not be opened.",
    action: "Another program holds the port, or the address is not on this machine.",
  },
  "store.unavailable": {
    meaning: "The database cannot be opened or written.",
    action: "Check the disk. Calls are not affected; events wait in memory and on tmpfs.",
  },
  "serial.open": {
    meaning: "A serial port could not be opened.",
    action: "Check the cable, the device name in the site file, and that no other program (ModemManager) holds it.",
  },
  "serial.closed": {
    meaning: "A serial device went away.",
    action: "Check its cable and power; it is reopened by itself when it is back.",
  },
  "modem.timeout": {
    meaning: "The modem did not answer a command in time.",
    action: "It is reset by itself after three; check its power supply.",
  },
  "modem.error": {
    meaning: "The modem answered a command with an error.",
    action: "The text has the modem's words.",
  },
  "operation.refused": {
    meaning: "The operation is not allowed now, or not for this role.",
    action: "The text says why.",
  },
  "net.privilege": {
    meaning: "Routing rules cannot be set or read without more privilege.",
    action: "Run the net helper as root (CAP_NET_ADMIN).",
  },
} as const satisfies Record<string, { meaning: string; action: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a code from {@link ERRORS}. `message` reads `[code] what happened. what to do`. */
export class HoldfastError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;

  constructor(code: ErrorCode, detail: string, cause?: unknown) {
    super(`[${code}] ${detail} ${ERRORS[code].action}`, cause === undefined ? undefined : { cause });
    this.name = "HoldfastError";
    this.code = code;
    this.detail = detail;
  }
}

export function isHoldfastError(error: unknown, code?: ErrorCode): error is HoldfastError {
  return error instanceof HoldfastError && (code === undefined || error.code === code);
}

/** A person-readable text for anything thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
