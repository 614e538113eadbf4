import { describe, expect, test } from "vitest";
import { raiseVersion } from "./session-version.ts";

describe("the version in o=", () => {
  test("is raised, and nothing else changes", () => {
    const sdp = "v=0\r\no=- 123 18446744073709551610 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n";
    expect(raiseVersion(sdp, 2)).toBe(sdp.replace("18446744073709551610", "18446744073709551612"));
    expect(raiseVersion(sdp, 0)).toBe(sdp);
  });

  test("of a description that cannot be read stays", () => {
    expect(raiseVersion("v=0\r\no=nonsense\r\n", 1)).toBe("v=0\r\no=nonsense\r\n");
  });
});
