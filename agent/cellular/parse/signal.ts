import { type Field, fieldsOf, numberOf } from "./fields.ts";

/** What a modem measures. Undefined is "not known": no service, another technology, a field the modem leaves out. */
export interface Signal {
  /** Received power over the whole channel. */
  readonly rssi_dbm: number | undefined;
  /** Power of the cell's reference signals: the figure that tells how good coverage is. */
  readonly rsrp_dbm: number | undefined;
  readonly rsrq_db: number | undefined;
  /** Signal to noise; only makers' own commands tell it. */
  readonly sinr_db: number | undefined;
}

export const NO_SIGNAL: Signal = { rssi_dbm: undefined, rsrp_dbm: undefined, rsrq_db: undefined, sinr_db: undefined };

/** `+CSQ: rssi,ber`: 0–31 is -113 dBm in steps of 2, 99 unknown (TS 27.007 §8.5). */
export function parseCsq(line: string): Signal | undefined {
  const fields = fieldsOf("+CSQ", line);
  const raw = numberOf(fields?.[0], 0, 199);
  if (fields === undefined || fields.length !== 2 || raw === undefined) return undefined;
  return { ...NO_SIGNAL, rssi_dbm: raw <= 31 ? -113 + 2 * raw : undefined };
}

/**
 * `+CESQ: rxlev,ber,rscp,ecno,rsrq,rsrp[,ss_rsrq,ss_rsrp,ss_sinr]` (TS 27.007 §8.69), 255 (or 99) unknown. RSRP n is
 * -141 + n dBm, RSRQ -20 + n/2 dB; the three of 5G are -157 + n dBm, -43.5 + n/2 dB and -23.5 + n/2 dB.
 */
export function parseCesq(line: string): Signal | undefined {
  const fields = fieldsOf("+CESQ", line);
  if (fields === undefined || (fields.length !== 6 && fields.length !== 9)) return undefined;
  const raw = fields.map((field) => numberOf(field, 0, 255));
  if (raw.includes(undefined)) return undefined;
  const [rxlev, , rscp, , rsrq, rsrp, ssRsrq, ssRsrp, ssSinr] = raw;
  const at = (value: number | undefined, most: number, from: number, step = 1) =>
    value === undefined || value > most ? undefined : from + value * step;
  return {
    rssi_dbm: at(rxlev, 63, -111) ?? at(rscp, 96, -121),
    rsrp_dbm: at(rsrp, 97, -141) ?? at(ssRsrp, 126, -157),
    rsrq_db: at(rsrq, 34, -20, 0.5) ?? at(ssRsrq, 126, -43.5, 0.5),
    sinr_db: at(ssSinr, 127, -23.5, 0.5),
  };
}

/** SIMCom's system information: what network, whether it serves, and how well. */
export interface SystemInformation {
  /** `LTE`, `WCDMA`, `GSM`, `5G NR`, as people say it; undefined without service. */
  readonly technology: string | undefined;
  readonly signal: Signal;
}

/**
 * `+CPSI: LTE,Online,MCC-MNC,TAC,cell,PCI,band,EARFCN,dlbw,ulbw,RSRQ,RSRP,RSSI,SNR`. RSRQ, RSRP and RSSI are tenths on
 * SIM7600/7500; a firmware that sends whole dB is told by RSRP's size. Positive values are raw indexes of unknown scale.
 */
export function parseCpsi(line: string): SystemInformation | undefined {
  const fields = fieldsOf("+CPSI", line);
  const [mode, operation] = fields ?? [];
  if (fields === undefined || mode === undefined || operation === undefined) return undefined;
  const technology = TECHNOLOGIES.find(([pattern]) => pattern.test(mode.text))?.[1];
  if (technology === undefined && mode.text !== "NO SERVICE") return undefined;
  if (technology === undefined || operation.text !== "Online") return { technology: undefined, signal: NO_SIGNAL };
  return { technology, signal: technology === "LTE" && fields.length === 14 ? lteSignal(fields) : NO_SIGNAL };
}

const TECHNOLOGIES = [
  [/^LTE/, "LTE"],
  [/^NR5G/, "5G NR"],
  [/^(WCDMA|TD-SCDMA)/, "UMTS"],
  [/^GSM/, "GSM"],
] as const;

function lteSignal(fields: readonly Field[]): Signal {
  const [rsrq, rsrp, rssi, snr] = fields.slice(10).map((field) => numberOf(field, -2000, 1000));
  if (rsrp === undefined || rsrp > -30) return NO_SIGNAL;
  const scale = rsrp <= -300 ? 10 : 1;
  const within = (value: number | undefined, low: number, high: number) =>
    value !== undefined && value / scale >= low && value / scale <= high ? value / scale : undefined;
  return {
    rssi_dbm: within(rssi, -140, -20),
    rsrp_dbm: within(rsrp, -160, -30),
    rsrq_db: within(rsrq, -43, 0),
    sinr_db: snr !== undefined && snr >= -30 && snr <= 60 ? snr : undefined,
  };
}

/** Quectel's `+QCSQ: "LTE",rssi,rsrp,sinr,rsrq` in dBm and dB, SINR as 0–250 for -20 to 30 dB; `"NOSERVICE"` alone. */
export function parseQcsq(line: string): SystemInformation | undefined {
  const fields = fieldsOf("+QCSQ", line);
  const [mode, rssi, rsrp, sinr, rsrq] = fields ?? [];
  if (mode === undefined) return undefined;
  const rssi_dbm = numberOf(rssi, -140, -20);
  switch (mode.text) {
    case "NOSERVICE":
      return { technology: undefined, signal: NO_SIGNAL };
    case "GSM":
      return { technology: "GSM", signal: { ...NO_SIGNAL, rssi_dbm } };
    case "WCDMA":
      return { technology: "UMTS", signal: { ...NO_SIGNAL, rssi_dbm } };
    case "LTE":
    case "CAT-M1":
    case "eMTC": {
      const raw = numberOf(sinr, 0, 250);
      const signal: Signal = {
        rssi_dbm,
        rsrp_dbm: numberOf(rsrp, -160, -30),
        rsrq_db: numberOf(rsrq, -43, 0),
        sinr_db: raw === undefined ? undefined : raw / 5 - 20,
      };
      return { technology: "LTE", signal };
    }
    default:
      return undefined;
  }
}
