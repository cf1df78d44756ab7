import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { BrowserContext, Page } from "@playwright/test";
import { type Service, startService } from "../../openapi/typescript/test/service.ts";
import { test as base, expect, forgive, look, newMobile, weigh } from "./fixtures.ts";

const ORIGIN = "https://challenges.cloudflare.com";

/** What stands in for Turnstile's script: it shows a frame of the provider's, and passes on what that gives. */
const SCRIPT = `
  const frames = new Map();
  window.turnstile = {
    render(container, options) {
      const frame = document.createElement("iframe");
      frame.src = "${ORIGIN}/frame";
      frame.title = "Widget in " + options.language;
      frame.width = 140;
      frame.height = 64;
      container.append(frame);
      addEventListener("message", ({ source, data }) => {
        if (source === frame.contentWindow) {
          data === "expired" ? options["expired-callback"]() : options.callback(data);
        }
      });
      frames.set("widget " + frames.size, frame);
      return "widget " + (frames.size - 1);
    },
    remove(widget) {
      frames.get(widget).remove();
    },
  };
`;

const FRAME = `<!doctype html><html lang="en"><title>Widget</title>
  <button onclick="parent.postMessage('good-' + Math.random(), '*')">I am a person</button>
  <button onclick="parent.postMessage('bad', '*')">I am none</button>
  <button onclick="parent.postMessage('expired', '*')">Wait</button>`;

/** What stands in for the provider's siteverify: a response that begins with "good" is taken once. */
async function startSiteVerify(): Promise<{ server: Server; url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) {
      body += part;
    }
    const form = new URLSearchParams(body);
    const token = form.get("response") ?? "";
    const success = form.get("secret") === "the secret" && token.startsWith("good") && !asked.includes(token);
    asked.push(token);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ success, "error-codes": success ? [] : ["timeout-or-duplicate"] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/siteverify`, asked };
}

interface Guarded {
  /** A service that wants a captcha from the second message on. */
  guarded: Service & { asked: string[] };
}

const test = base.extend<Guarded>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what is needed from here
  guarded: async ({}, use) => {
    const provider = await startSiteVerify();
    const service = await startService({
      MOBILE_BIND__LIMITS__MODE: "enforce",
      MOBILE_BIND__LIMITS__SENDS_FROM_ADDRESS: "1/1h",
      MOBILE_BIND__CAPTCHA__PROVIDER: "turnstile",
      MOBILE_BIND__CAPTCHA__SITE_KEY: "1x00000000000000000000AA",
      MOBILE_BIND__CAPTCHA__SECRET: "the secret",
      MOBILE_BIND__CAPTCHA__URL: provider.url,
    });
    await use({ ...service, asked: provider.asked });
    service.stop();
    provider.server.close();
  },
  baseURL: async ({ guarded }, use) => use(guarded.url),
});

/** Answers in the provider's place; nothing leaves this machine. */
async function standIn(context: BrowserContext): Promise<void> {
  await context.route(`${ORIGIN}/**`, (route) => {
    const isFrame = new URL(route.request().url()).pathname === "/frame";
    return route.fulfill(
      isFrame ? { contentType: "text/html", body: FRAME } : { contentType: "text/javascript", body: SCRIPT },
    );
  });
}

/** Asks for a code once, so that the next one wants a captcha. */
async function spendTheLimit(guarded: Service, workerIndex: number): Promise<void> {
  const body = JSON.stringify({ mobile: newMobile(workerIndex) });
  const url = `${guarded.url}/user/appmobilebindverifysend?uuid=another`;
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  expect((await answer.json()).code).toBe(0);
}

/** The page asks the provider; all else that it asks elsewhere stays a fault. */
function expectTheProvider(faults: string[], guarded: Service): void {
  forgive(faults, (fault) => [guarded.url, ORIGIN].some((own) => fault.startsWith(`asks ${own}/`)));
}

function widget(page: Page) {
  return page.frameLocator(".captcha iframe");
}

test("a captcha that is wanted is shown, by keyboard alone, and lets the next send through", async ({
  page,
  context,
  guarded,
  mobile,
  faults,
}) => {
  await standIn(context);
  await spendTheLimit(guarded, test.info().workerIndex);
  await page.goto("/");
  await page.getByLabel("Mobile number").fill(mobile);
  await page.keyboard.press("Enter");
  const group = page.getByRole("group", { name: "Are you a person?" });
  await expect(group).toBeFocused();
  await expect(page.getByRole("status")).toContainText("solve the captcha, or try again in");
  await expect(widget(page).getByRole("button", { name: "I am a person" })).toBeVisible();
  await expect(page.locator(".captcha iframe")).toHaveAttribute("title", "Widget in en");
  await look(page, "captcha-1-wanted");

  // A send without a solution is not even asked for.
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(page.getByRole("status")).toHaveText("Solve the captcha first, then send the code");
  expect(guarded.asked).toEqual([]);

  await group.focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("status")).toHaveText("Thank you. You can send the code now");
  await look(page, "captcha-2-solved");
  await page.getByRole("button", { name: "Send code" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Enter the code" })).toBeVisible();
  await expect(page.locator(".captcha")).toHaveCount(0);
  expect(guarded.asked).toHaveLength(1);
  expectTheProvider(faults, guarded);
});

test("what the provider does not confirm, or no longer, is asked for again", async ({
  page,
  context,
  guarded,
  mobile,
  faults,
}) => {
  await standIn(context);
  await spendTheLimit(guarded, test.info().workerIndex);
  await page.goto("/");
  await page.getByLabel("Mobile number").fill(mobile);
  await page.getByRole("button", { name: "Send code" }).click();
  await widget(page).getByRole("button", { name: "I am none" }).click();
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(page.getByRole("status")).toContainText("solve the captcha");
  expect(guarded.asked).toEqual(["bad"]);
  await widget(page).getByRole("button", { name: "I am a person" }).click();
  await expect(page.getByRole("status")).toContainText("Thank you");
  await widget(page).getByRole("button", { name: "Wait" }).click();
  await expect(page.getByRole("status")).toHaveText("Solve the captcha first, then send the code");
  await widget(page).getByRole("button", { name: "I am a person" }).click();
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(page.getByRole("heading", { name: "Enter the code" })).toBeVisible();
  expect(guarded.asked).toHaveLength(2);
  expectTheProvider(faults, guarded);
});

test("a provider that is not to be had is told, and the service is asked again", async ({
  page,
  context,
  guarded,
  mobile,
  faults,
}) => {
  await context.route(`${ORIGIN}/**`, (route) => route.abort());
  await spendTheLimit(guarded, test.info().workerIndex);
  await page.goto("/");
  await page.getByLabel("Mobile number").fill(mobile);
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(page.getByRole("alert")).toContainText("The captcha cannot be loaded");
  await context.unroute(`${ORIGIN}/**`);
  await standIn(context);
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(widget(page).getByRole("button", { name: "I am a person" })).toBeVisible();
  expectTheProvider(faults, guarded);
  // The browser says itself that it could not load it.
  forgive(faults, (fault) => fault.includes("ERR_FAILED"));
});

for (const { name, field, button, group, wanted } of [
  { name: "简体中文", field: "手机号码", button: "获取验证码", group: "人机验证", wanted: "请完成人机验证" },
  { name: "繁體中文", field: "手機號碼", button: "取得驗證碼", group: "人機驗證", wanted: "請完成人機驗證" },
  {
    name: "Español",
    field: "Número de móvil",
    button: "Enviar código",
    group: "¿Eres una persona?",
    wanted: "resuelve el captcha",
  },
]) {
  test(`it explains itself in ${name}`, async ({ page, context, guarded, mobile, faults }) => {
    await standIn(context);
    await spendTheLimit(guarded, test.info().workerIndex);
    await page.goto("/");
    await page.getByRole("combobox", { name: "Language" }).selectOption(name);
    await page.getByLabel(field, { exact: true }).fill(mobile);
    await page.getByRole("button", { name: button }).click();
    await expect(page.getByRole("group", { name: group })).toBeVisible();
    await expect(page.getByRole("status")).toContainText(wanted);
    await look(page, `captcha-3-${group.slice(0, 4)}`);
    expectTheProvider(faults, guarded);
  });
}

test("the page loads nothing of the provider's before it is wanted", async ({ page, guarded, faults }) => {
  expect(await weigh(page, "/")).toBeLessThan(60_000);
  expect(faults.filter((fault) => fault.includes(ORIGIN))).toEqual([]);
  expectTheProvider(faults, guarded);
});
