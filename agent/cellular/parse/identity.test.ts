import { describe, expect, test } from "vitest";
import { identityOf, identityText, simFault } from "./identity.ts";

describe("identity", () => {
  test.each([
    [["SIMCOM_SIM7600G-H"], "SIMCOM_SIM7600G-H"],
    [["+CGMR: LE20B04SIM7600G22"], "LE20B04SIM7600G22"],
    [["Revision: EC25AFAR05A07M4G"], "EC25AFAR05A07M4G"],
    [[], undefined],
    [["+CGMM:"], undefined],
  ])("%j is %s", (lines, text) => {
    expect(identityText(lines)).toBe(text);
  });

  test.each([
    ["SIMCOM INCORPORATED", "SIMCOM_SIM7600G-H", "simcom"],
    ["SIMCOM INCORPORATED", "A7672G-LABE", "simcom"],
    ["Quectel", "EC25", "quectel"],
    ["SIMCOM PRACTICE", "PRACTICE-7600", "simcom"],
    ["Quectel PRACTICE", "PRACTICE-EC25", "quectel"],
    ["Sierra Wireless, Incorporated", "EM7455", "other"],
    [undefined, "SIM7600G-H", "simcom"],
    [undefined, "EG25", "quectel"],
    ["Telit", "LE910C4-NF", "other"],
    [undefined, undefined, "other"],
  ])("%s %s is of family %s", (manufacturer, model, family) => {
    expect(identityOf(manufacturer, model, undefined).family).toBe(family);
  });
});

describe("SIM", () => {
  test.each([
    [["+CPIN: READY"], undefined, undefined],
    [["+CPIN: SIM PIN"], undefined, "the SIM wants SIM PIN"],
    [["+CPIN: NOT READY"], undefined, "no SIM is inserted"],
    [[], 10, "no SIM is inserted"],
    [[], 13, "the SIM does not work"],
    // Busy: it starts; the next question tells.
    [[], 14, undefined],
  ])("%j with error %s: %s", (lines, code, fault) => {
    expect(simFault(lines, code)).toBe(fault);
  });
});
