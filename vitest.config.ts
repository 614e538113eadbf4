import { defineConfig } from "vitest/config";

/** Unit tests sit beside the code they test; scenario tests that need no namespaces sit in tests/scenarios. */
export default defineConfig({
  test: {
    include: [
      "agent/**/*.test.ts",
      "web-ui/src/**/*.test.ts",
      "tests/architecture/**/*.test.ts",
      "tests/scenarios/**/*.test.ts",
      "tests/lab/**/*.test.ts",
      "tests/page/**/*.page.test.ts",
    ],
    testTimeout: 10_000,
    pool: "forks",
  },
});
