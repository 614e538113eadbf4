/**
 * Lines that modems send unasked (URCs): 3GPP's, SIMCom's and Quectel's. A table, because nothing in a line says that
 * nobody asked for it. `text_follows`: its next line belongs to it, whatever that looks like.
 */
interface Known {
  readonly starts: string;
  readonly text_follows?: boolean;
}

const KNOWN: readonly Known[] = [
  ...["+CREG:", "+CGREG:", "+CEREG:", "+C5GREG:", "+CTZV:", "+CTZE:", "+CTZDST:", "+NITZ", "*PSUTTZ:", "+CGEV:"],
  ...["+CPIN:", "+CFUN:", "+SIMCARD:", "+SIM:", "+CRING:", "RING", "+CLIP:", "+COLP:", "+CSSI:", "+CSSU:", "+CUSD:"],
  ...["NO CARRIER", "BUSY", "NO ANSWER", "MISSED_CALL:", "VOICE CALL:", "+RXDTMF:", "+QTONEDET:", "^DSCI:", "+CIREGU:"],
  ...["+CMTI:", "+CDSI:", "+CEN1:", "+CEN2:", "+CNEMIU:", "+CNEMS1:"],
  ...["RDY", "START", "*ATREADY:", "SMS DONE", "PB DONE", "SMS READY", "PB READY", "CALL READY", "APP RDY"],
  ...["+QIND:", "+QUSIM:", "POWERED DOWN", "NORMAL POWER DOWN", "OVER-VOLTAGE", "UNDER-VOLTAGE", "+CPMUTEMP"],
].map((starts) => ({ starts }));

const WITH_TEXT: readonly Known[] = ["+CMT:", "+CDS:", "+CBM:"].map((starts) => ({ starts, text_follows: true }));

export function unsolicited(line: string): { readonly text_follows: boolean } | undefined {
  const known = [...WITH_TEXT, ...KNOWN].find(({ starts }) => line.startsWith(starts));
  return known === undefined ? undefined : { text_follows: known.text_follows === true };
}

/** The modem has just started, or started again by itself: everything it was told is forgotten. */
export function saysRestarted(line: string): boolean {
  return ["RDY", "START", "*ATREADY: 1", "APP RDY"].includes(line);
}
