import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { APIRequestContext, Locator } from "@playwright/test";
import { advance, binary, lastCode, type Service, startService } from "../../openapi/typescript/test/service.ts";
import {
  CONSOLE,
  enterConsole,
  expect,
  expectRefusals,
  look,
  newMobile,
  OPERATOR,
  test,
  watch,
  weigh,
} from "./fixtures.ts";

async function bindOne(request: APIRequestContext, service: Service, wrong: boolean): Promise<void> {
  const mobile = newMobile(test.info().workerIndex);
  await request.post("/user/appmobilebindverifysend", { form: { mobile } });
  const verify = await lastCode(service, mobile);
  if (wrong) {
    await request.post("/user/appmobilebind", { form: { mobile, verify: verify === "0000" ? "0001" : "0000" } });
  }
  await request.post("/user/appmobilebind", { form: { mobile, verify } });
}

async function counted(bar: Locator): Promise<number> {
  return Number(((await bar.locator(".value").textContent()) ?? "").split(" ")[0]);
}

test("an operator sees a bind come through", async ({ page, service, request, faults }) => {
  await page.goto(service.console);
  await look(page, "10-console-sign-in");
  await enterConsole(page, service, "mbc_wrong");
  await expect(page.getByRole("alert")).toHaveText("This token is not valid.");
  expectRefusals(faults);
  await enterConsole(page, service);
  await expect(page.getByRole("heading", { name: "Console" })).toBeFocused();
  await expect(page.getByText("alice")).toBeVisible();
  const funnel = page.getByRole("region", { name: "Funnel" });
  const bound = funnel.getByRole("listitem").filter({ hasText: "Bound" });
  await expect(bound).toBeVisible();
  const before = await counted(bound);
  for (let count = 0; count < 5; count += 1) {
    await bindOne(request, service, count === 0);
  }
  await expect.poll(() => counted(bound), { timeout: 30_000 }).toBe(before + 5);
  const refusals = page.getByRole("region", { name: "Refusals by rule" });
  await expect(refusals.getByText("Bind: wrong code")).toBeVisible();
  await expect(page.getByText("Openids are taken on trust")).toBeVisible();
  await look(page, "11-console");
  const plot = page.getByRole("img", { name: "Messages and binds, each minute" });
  await plot.hover();
  await expect(page.locator(".reading").first()).toContainText("Bound");
  await page.getByText("As a table").first().click();
  await expect(page.getByRole("columnheader", { name: "Verified" })).toBeVisible();
  await look(page, "12-console-table");
  await page.getByText("24 hours").click();
  await expect(page.getByRole("img", { name: "Messages and binds, every 10 minutes" })).toBeVisible();
  await expect.poll(() => counted(bound), { timeout: 30_000 }).toBeGreaterThanOrEqual(5);
  await page.reload();
  await expect(bound).toBeVisible();
  await page.getByRole("button", { name: "Leave" }).click();
  await expect(page.getByLabel("Operator's token")).toBeVisible();
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
});

test("tokens cannot be guessed at length", async ({ page, service, faults }) => {
  await page.goto(service.console);
  for (let count = 0; count < 10; count += 1) {
    await page.evaluate(() => fetch("/console/api/overview", { headers: { Authorization: "Bearer wrong" } }));
  }
  await enterConsole(page, service);
  await expect(page.getByRole("alert")).toHaveText("Too many attempts. Try again in a minute.");
  expectRefusals(faults);
  await advance(service, 61);
  await enterConsole(page, service);
  await expect(page.getByRole("heading", { name: "Console" })).toBeFocused();
});

test("the console by keyboard alone", async ({ page, service }) => {
  await page.goto(service.console);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("combobox", { name: "Language" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.type(OPERATOR);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Console" })).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("radio", { name: "1 hour" })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("radio", { name: "24 hours" })).toBeChecked();
});

for (const { name, title, funnel, token, button } of [
  { name: "简体中文", title: "控制台", funnel: "转化漏斗", token: "操作员令牌", button: "进入" },
  { name: "繁體中文", title: "主控台", funnel: "轉換漏斗", token: "操作員權杖", button: "進入" },
  { name: "Español", title: "Consola", funnel: "Embudo", token: "Token de operador", button: "Entrar" },
]) {
  test(`the console in ${name}`, async ({ page, service, request }) => {
    await bindOne(request, service, true);
    await page.goto(service.console);
    await page.getByRole("combobox", { name: "Language" }).selectOption(name);
    await expect(page).toHaveTitle(`${title} · mobile-bind`);
    await page.getByLabel(token).fill(OPERATOR);
    await page.getByRole("button", { name: button }).click();
    await expect(page.getByRole("heading", { name: funnel })).toBeVisible();
    await look(page, `13-console-${title}`);
  });
}

/** A vendor's stand-in, and the settings to send by it. */
const vendor = test.extend<{ settings: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what is needed from here
  settings: async ({}, use) => {
    const fake = spawn(binary, ["sms", "fake", "--provider", "webhook"], { stdio: ["ignore", "pipe", "inherit"] });
    const told: string[] = [];
    for await (const line of createInterface({ input: fake.stdout })) {
      told.push(line);
      if (line.startsWith("secret")) {
        break;
      }
    }
    fake.stdout.resume();
    await use(told.filter((line) => !line.startsWith("listening")).join("\n"));
    fake.kill("SIGINT");
  },
});

/** A provider that nobody answers for, and that is asked first. */
const DEAD = `
[sms.providers.dead]
kind = "webhook"
url = "http://127.0.0.1:1/"
rank = 0
secret = "whsec_ZmFrZS1mYWtlLWZha2UtZmFrZS1mYWtl"
`;

vendor("providers are shown with how they do", async ({ browser, settings }) => {
  const config = join(mkdtempSync(join(tmpdir(), "mobile-bind-")), "settings.toml");
  writeFileSync(config, `${settings}\n${DEAD}`);
  const service = await startService(CONSOLE, ["--config", config]);
  const context = await browser.newContext({ locale: "en-US", baseURL: service.url });
  try {
    const faults: string[] = [];
    watch(context, [service.url, new URL(service.console).origin], faults);
    for (let count = 0; count < 3; count += 1) {
      const mobile = newMobile(test.info().workerIndex);
      await context.request.post("/user/appmobilebindverifysend", { form: { mobile } });
    }
    const page = await context.newPage();
    await enterConsole(page, service);
    const providers = page.getByRole("region", { name: "SMS providers" });
    await expect(providers.getByRole("heading", { name: "fake in use" })).toBeVisible();
    await expect(providers.getByText("accepted", { exact: true })).toBeVisible();
    await expect(providers.getByText("unavailable")).toBeVisible();
    await look(page, "14-console-providers");
    expect(faults).toEqual([]);
  } finally {
    await context.close();
    service.stop();
  }
});

test("the console weighs under 60 kB", async ({ page, service }) => {
  expect(await weigh(page, service.console)).toBeLessThan(60_000);
});
