import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type BrowserContext, test as base, expect, type Page } from "@playwright/test";
import axe from "axe-core";
import { type Service, startService } from "../../openapi/typescript/test/service.ts";

/** The token of the operator `alice`, and what stands of it among the settings. */
export const OPERATOR = "mbc_of_the_tests";
const hash = createHash("sha256").update(OPERATOR).digest("hex");
export const CONSOLE = {
  MOBILE_BIND__CONSOLE__LISTEN: "127.0.0.1:0",
  MOBILE_BIND__CONSOLE__OPERATORS__ALICE: `sha256:${hash}`,
};

interface Fixtures {
  /** A mobile number that no other test has. */
  mobile: string;
  /** What went wrong unseen; it must stay empty. */
  faults: string[];
}

let last = 0;

/** Every test has a service of its own worker, and fails where a page complains or asks elsewhere. */
export const test = base.extend<Fixtures, { service: Service }>({
  service: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what is needed from here
    async ({}, use) => {
      const service = await startService(CONSOLE);
      await use(service);
      service.stop();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ service }, use) => use(service.url),
  // biome-ignore lint/correctness/noEmptyPattern: as above
  mobile: async ({}, use, { workerIndex }) => use(newMobile(workerIndex)),
  faults: [
    async ({ context, service }, use) => {
      const faults: string[] = [];
      watch(context, [service.url, new URL(service.console).origin], faults);
      await use(faults);
      expect(faults).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

export function newMobile(workerIndex: number): string {
  last += 1;
  return String(13_000_000_000 + workerIndex * 100_000 + last);
}

export function watch(context: BrowserContext, origins: string[], faults: string[]) {
  context.on("request", (request) => {
    const own = origins.some((origin) => request.url().startsWith(`${origin}/`));
    if (!own && !/^(data|blob|about):/.test(request.url())) {
      faults.push(`asks ${request.url()}`);
    }
  });
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      faults.push(`says ${message.text()}`);
    }
  });
  context.on("weberror", (error) => faults.push(`throws ${error.error()}`));
}

/** Takes back those faults that a test brought about itself. */
export function forgive(faults: string[], isExpected: (fault: string) => boolean): void {
  faults.splice(0, faults.length, ...faults.filter((fault) => !isExpected(fault)));
}

/** Looks at a page as it stands: axe finds nothing, nothing is wider than the screen; and keeps a picture. */
export async function look(page: Page, name: string): Promise<void> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const found = await axe.run();
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  });
  expect(violations).toEqual([]);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(overflow).toBeLessThanOrEqual(0);
  // A dialog covers the screen, and not the page.
  const fullPage = (await page.getByRole("dialog").count()) === 0;
  await page.screenshot({ path: `test-results/screens/${test.info().project.name}-${name}.png`, fullPage });
}

/** Opens the inbox beside a page. */
export async function openInbox(context: BrowserContext): Promise<Page> {
  const inbox = await context.newPage();
  await inbox.goto("/dev/inbox");
  await expect(inbox.getByText("Live")).toBeVisible();
  return inbox;
}

/** The newest code to a number, read from the inbox as a person would. */
export async function readCode(inbox: Page, mobile: string): Promise<string> {
  await inbox.getByRole("searchbox").fill(mobile);
  const newest = inbox.getByRole("listitem").filter({ hasText: mobile }).first();
  return ((await newest.getByRole("button", { name: "Copy" }).textContent()) ?? "").replace(/\D/g, "");
}

/** Asks for a code on the bind page. */
export async function send(page: Page, mobile: string): Promise<void> {
  await page.getByLabel("Mobile number").fill(mobile);
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(page.getByRole("heading", { name: "Enter the code" })).toBeVisible();
}

export async function bind(page: Page, inbox: Page, mobile: string): Promise<void> {
  await send(page, mobile);
  await page.getByLabel("Verification code").fill(await readCode(inbox, mobile));
  await page.getByRole("button", { name: "Bind number" }).click();
  await expect(page.getByRole("heading", { name: "Your number is bound" })).toBeVisible();
}

/** Opens a page, and answers what it weighs: everything that it loads by itself, compressed, in bytes. */
export async function weigh(page: Page, url: string): Promise<number> {
  const bodies: Promise<Buffer>[] = [];
  page.on("response", (response) => bodies.push(response.body()));
  await page.goto(url, { waitUntil: "networkidle" });
  return (await Promise.all(bodies)).reduce((sum, body) => sum + gzipSync(body).length, 0);
}

/** Enters the console as an operator. */
export async function enterConsole(page: Page, service: Service, token = OPERATOR): Promise<void> {
  await page.goto(service.console);
  await page.getByLabel("Operator's token").fill(token);
  await page.getByRole("button", { name: "Enter" }).click();
}

/** What the console's routes refuse is told by the browser too: takes that from the faults. */
export function expectRefusals(faults: string[]): void {
  forgive(faults, (fault) => /status of 4(00|01|04|29)/.test(fault));
}
