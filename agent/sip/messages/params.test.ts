import { describe, expect, test } from "vitest";
import { hasParam, paramValue, parseParams, printParams, withoutParam, withParam } from "./params.ts";
import { parseHostPort, quote, splitOutside, unquote } from "./syntax.ts";

describe("parameters", () => {
  test("names, values, flags and their order are kept, blanks around ; and = are not", () => {
    const params = parseParams(' ; lr ; x="a;b,c" ;Branch = z9hG4bK1;rport=');
    expect(params).toEqual([
      { name: "lr" },
      { name: "x", value: '"a;b,c"' },
      { name: "Branch", value: "z9hG4bK1" },
      { name: "rport", value: "" },
    ]);
    expect(printParams(params ?? [])).toBe(';lr;x="a;b,c";Branch=z9hG4bK1;rport=');
  });

  test("a value is found without regard to the name's case and given without quotes and escapes", () => {
    const params = parseParams('+sip.instance="<urn:uuid:1>";TAG=Ab;q="a\\"b\\\\"') ?? [];
    expect(paramValue(params, "+SIP.Instance")).toBe("<urn:uuid:1>");
    expect(paramValue(params, "tag")).toBe("Ab");
    expect(paramValue(params, "q")).toBe('a"b\\');
    expect(paramValue(params, "none")).toBeUndefined();
    expect(hasParam(parseParams(";lr") ?? [], "LR")).toBe(true);
    expect(paramValue(parseParams(";lr") ?? [], "lr")).toBe("");
  });

  test("empty parameters are skipped", () => {
    expect(parseParams(";;lr;")).toEqual([{ name: "lr" }]);
    expect(parseParams("")).toEqual([]);
  });

  test.each([[';a="open'], [';a="b"c'], [";a b"], [";a=b c"], [";=x"], [";a=<b>"]])("%s is refused", (text) => {
    expect(parseParams(text)).toBeUndefined();
  });

  test("a parameter is replaced in its place, added last, or removed, whatever its case", () => {
    const params = parseParams(";a=1;B=2;c;b=3") ?? [];
    expect(printParams(withParam(params, "b", "9"))).toBe(";a=1;b=9;c");
    expect(printParams(withParam(params, "d"))).toBe(";a=1;B=2;c;b=3;d");
    expect(printParams(withParam([], "d", "two words"))).toBe(';d="two words"');
    expect(printParams(withoutParam(params, "b"))).toBe(";a=1;c");
  });
});

describe("quoted strings and lists", () => {
  test("quoting escapes quotes and backslashes and cannot carry a line break", () => {
    expect(quote('a "b" \\c')).toBe('"a \\"b\\" \\\\c"');
    expect(unquote(quote('a "b" \\c'))).toBe('a "b" \\c');
    expect(quote("a\r\nVia: x")).toBe('"a Via: x"');
    expect(unquote("plain")).toBe("plain");
    expect(unquote('"')).toBe('"');
  });

  test("lists split outside quotes, escaped quotes and angle brackets", () => {
    expect(splitOutside('"a,\\",b" <sip:x,y@z>;p="1,2" , , <sip:b>', ",")).toEqual([
      '"a,\\",b" <sip:x,y@z>;p="1,2"',
      "",
      "<sip:b>",
    ]);
    expect(splitOutside("one", ",")).toEqual(["one"]);
    expect(splitOutside('a, "open, b', ",")).toEqual(["a", '"open, b']);
  });

  test("hosts and ports", () => {
    expect(parseHostPort("[2001:db8::9:1]:5061")).toEqual({ host: "[2001:db8::9:1]", port: 5061 });
    expect(parseHostPort("[::ffff:192.0.2.10]")).toEqual({ host: "[::ffff:192.0.2.10]" });
    expect(parseHostPort("192.0.2.2 : 5060")).toEqual({ host: "192.0.2.2", port: 5060 });
    for (const bad of [
      "",
      ":5060",
      "a:b",
      "a:65536",
      "[::1",
      "[zz]",
      "[1]",
      "a b",
      "2001:db8::1",
      "-a",
      "a:-1",
      "a:",
    ]) {
      expect(parseHostPort(bad), bad).toBeUndefined();
    }
  });
});
