import { defineConfig } from "vite";

/**
 * One page, one script, one style sheet, nothing inline: the box serves it under `default-src 'self'`, which forbids
 * inline code and data: addresses.
 */
export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
});
