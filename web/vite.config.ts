import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

const PAGES = ["bind", "inbox", "console", "docs"];

/** What all pages have in their heads, in the place of a comment. */
const head: Plugin = {
  name: "head",
  transformIndexHtml: {
    order: "pre",
    handler(page) {
      const lines = readFileSync(resolve(import.meta.dirname, "head.html"), "utf8").trimEnd();
      return page.replace("<!-- head -->", () => lines.replaceAll("\n", "\n    "));
    },
  },
};

// Names without hashes: the http crate embeds the files by name, and nothing is cached.
export default defineConfig({
  base: "/pages/",
  plugins: [head],
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
