import { existsSync } from "node:fs";
import { defineConfig, devices } from "@playwright/test";

/** The system's Chromium: Debian's, or what MOBILE_BIND_CHROMIUM names. */
const executablePath = process.env["MOBILE_BIND_CHROMIUM"] ?? "/usr/bin/chromium";
if (!existsSync(executablePath)) {
  throw new Error(`there is no ${executablePath}: apt-get install chromium, or set MOBILE_BIND_CHROMIUM`);
}

const phone = { ...devices["Pixel 7"], viewport: { width: 320, height: 640 } };

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  fullyParallel: true,
  workers: 2,
  forbidOnly: true,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    locale: "en-US",
    timezoneId: "Asia/Shanghai",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath,
      // Chromium's own look-ups would be requests that nobody asked for; root, as in a container, has no sandbox.
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    { name: "desktop", use: { ...devices["Desktop Chrome"], colorScheme: "light" } },
    { name: "phone", use: { ...phone, colorScheme: "dark" } },
  ],
});
