import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NO_SIGNAL, parseCesq, parseCpsi, parseCsq, parseQcsq } from "./signal.ts";

describe("+CSQ", () => {
  test.each([
    ["+CSQ: 0,99", -113],
    ["+CSQ: 20,99", -73],
    ["+CSQ: 31,0", -51],
    ["+CSQ: 99,99", undefined],
    ["+CSQ:18,0", -77],
  ])("%s", (line, rssi_dbm) => {
    expect(parseCsq(line)).toEqual({ ...NO_SIGNAL, rssi_dbm });
  });

  test.each([
    "+CSQ: ",
    "+CSQ: 20",
    "+CSQ: -5,99",
    "+CSQ: 20,99,1",
    '+CSQ: "20",99',
    "+CSQ: 2000,99",
    "CSQ: 20,99",
    "OK",
  ])("%s is none", (line) => expect(parseCsq(line)).toBeUndefined());
});

describe("+CESQ", () => {
  test("of LTE has RSRP and RSRQ", () => {
    expect(parseCesq("+CESQ: 99,99,255,255,20,54")).toEqual({ ...NO_SIGNAL, rsrp_dbm: -87, rsrq_db: -10 });
  });

  test("of UMTS has the received code power", () => {
    expect(parseCesq("+CESQ: 99,99,48,30,255,255")).toEqual({ ...NO_SIGNAL, rssi_dbm: -73 });
  });

  test("of GSM has the received level", () => {
    expect(parseCesq("+CESQ: 40,0,255,255,255,255")).toEqual({ ...NO_SIGNAL, rssi_dbm: -71 });
  });

  test("without service knows nothing", () => {
    expect(parseCesq("+CESQ: 99,99,255,255,255,255")).toEqual(NO_SIGNAL);
  });

  test("of 5G has three more fields", () => {
    expect(parseCesq("+CESQ: 99,99,255,255,255,255,65,70,60")).toEqual({
      rssi_dbm: undefined,
      rsrp_dbm: -87,
      rsrq_db: -11,
      sinr_db: 6.5,
    });
  });

  test("with a field missing is none", () => {
    expect(parseCesq("+CESQ: 99,99,255,255,20")).toBeUndefined();
    expect(parseCesq("+CESQ: 99,99,255,255,20,")).toBeUndefined();
  });
});

describe("+CPSI", () => {
  test("SIM7600 on LTE, tenths", () => {
    expect(parseCpsi("+CPSI: LTE,Online,505-01,0x5A1E,187214780,257,EUTRAN-BAND3,1850,5,5,-94,-850,-545,15")).toEqual({
      technology: "LTE",
      signal: { rsrq_db: -9.4, rsrp_dbm: -85, rssi_dbm: -54.5, sinr_db: 15 },
    });
  });

  test("whole dBm, as other firmware sends", () => {
    expect(parseCpsi("+CPSI: LTE,Online,505-01,0x5A1E,1,257,EUTRAN-BAND3,1850,5,5,-11,-104,-73,7")).toMatchObject({
      signal: { rsrq_db: -11, rsrp_dbm: -104, rssi_dbm: -73, sinr_db: 7 },
    });
  });

  test("raw indexes of unknown scale are not taken for dBm", () => {
    expect(parseCpsi("+CPSI: LTE,Online,460-00,0x333C,39589068,283,EUTRAN-BAND8,3590,3,0,14,50,58,17")).toEqual({
      technology: "LTE",
      signal: NO_SIGNAL,
    });
  });

  test.each([
    ["+CPSI: NO SERVICE,Online", undefined],
    ["+CPSI: LTE,Low Power Mode,505-01", undefined],
    ["+CPSI: GSM,Online,460-00,0x182d,12401,27 EGSM 900,-64,2110,42-42", "GSM"],
    ["+CPSI: WCDMA,Online,505-01,0xA809,11122855,WCDMA IMT 2000,279,10663,0,1.5,62,33,52,500", "UMTS"],
    ["+CPSI: NR5G_SA,Online,460-00,0x1,1,1,NR5G_BAND41,504990,-800,-110,20", "5G NR"],
  ])("%s", (line, technology) => {
    expect(parseCpsi(line)).toEqual({ technology, signal: NO_SIGNAL });
  });

  test.each(["+CPSI: ", "+CPSI: LTE", "+CPSI: whatever,Online", "OK"])("%s is none", (line) =>
    expect(parseCpsi(line)).toBeUndefined(),
  );
});

describe("+QCSQ", () => {
  test("LTE", () => {
    expect(parseQcsq('+QCSQ: "LTE",-57,-87,150,-9')).toEqual({
      technology: "LTE",
      signal: { rssi_dbm: -57, rsrp_dbm: -87, sinr_db: 10, rsrq_db: -9 },
    });
  });

  test("other technologies and none", () => {
    expect(parseQcsq('+QCSQ: "WCDMA",-73,-80,-6')).toMatchObject({ technology: "UMTS", signal: { rssi_dbm: -73 } });
    expect(parseQcsq('+QCSQ: "GSM",-64')).toMatchObject({ technology: "GSM", signal: { rssi_dbm: -64 } });
    expect(parseQcsq('+QCSQ: "NOSERVICE"')).toEqual({ technology: undefined, signal: NO_SIGNAL });
    expect(parseQcsq('+QCSQ: "LTE')).toBeUndefined();
  });
});

test("nothing that comes makes a parser throw, and what it yields is a possible signal", () => {
  const parsers = [
    parseCsq,
    parseCesq,
    (line: string) => parseCpsi(line)?.signal,
    (line: string) => parseQcsq(line)?.signal,
  ];
  const field = fc.oneof(
    fc.integer({ min: -3000, max: 3000 }).map(String),
    fc.constantFrom("", '"', '"LTE"', "LTE", "Online", "-"),
  );
  const line = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc
      .tuple(fc.constantFrom("+CSQ", "+CESQ", "+CPSI", "+QCSQ"), fc.array(field, { maxLength: 16 }))
      .map(([name, fields]) => `${name}: ${fields.join(",")}`),
  );
  fc.assert(
    fc.property(line, (text) => {
      for (const parse of parsers) {
        const signal = parse(text);
        if (signal === undefined) continue;
        const { rsrp_dbm = -100, rssi_dbm = -100, rsrq_db = -10, sinr_db = 0 } = signal;
        expect(rsrp_dbm).toBeGreaterThanOrEqual(-160);
        expect(rsrp_dbm).toBeLessThanOrEqual(-30);
        expect(rssi_dbm).toBeGreaterThanOrEqual(-140);
        expect(rssi_dbm).toBeLessThanOrEqual(-20);
        expect(rsrq_db).toBeGreaterThanOrEqual(-43.5);
        expect(rsrq_db).toBeLessThanOrEqual(20);
        expect(Math.abs(sinr_db)).toBeLessThanOrEqual(60);
      }
    }),
    { numRuns: 2000 },
  );
});
