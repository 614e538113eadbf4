import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: [
      "agent/**/*.test.ts",
      "web-ui/src/**/*.test.ts",
      "tests/architecture/**/*.test.ts",
      "tests/torture/**/*.test.ts",
      "tests/lab/**/*.test.ts",
      "tests/bench/**/*.test.ts",
      "tests/page/**/*.page.test.ts",
    ],
    globalSetup: "tests/temporary-folder.ts",
    testTimeout: 10_000,
    pool: "forks",
  },
});
