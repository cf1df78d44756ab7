import { resolve } from "node:path";
import { defineConfig } from "vite";

const PAGES = ["bind", "inbox", "console", "docs"];

// Names without hashes: the http crate embeds the files by name, and nothing is cached.
export default defineConfig({
  base: "/pages/",
  resolve: { alias: { "mobile-bind-client": resolve(import.meta.dirname, "../openapi/typescript/src/index.ts") } },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      input: Object.fromEntries(PAGES.map((name) => [name, resolve(import.meta.dirname, `${name}.html`)])),
      // What several pages share goes into one file.
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "page.js",
        assetFileNames: "page[extname]",
        codeSplitting: { groups: [{ name: "page", minShareCount: 2 }] },
      },
    },
  },
});
