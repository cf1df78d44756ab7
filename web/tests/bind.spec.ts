import { advance } from "../../openapi/typescript/test/service.ts";
import { bind, expect, forgive, look, newMobile, openInbox, readCode, send, test, weigh } from "./fixtures.ts";

test("a number is bound with the code from the inbox, and is known afterwards", async ({ page, context, mobile }) => {
  await page.goto("/");
  await look(page, "1-number");
  const inbox = await openInbox(context);
  await send(page, mobile);
  await look(page, "2-code");
  await expect(page.getByLabel("Verification code")).toBeFocused();
  await page.getByLabel("Verification code").fill(await readCode(inbox, mobile));
  await look(page, "3-code-filled");
  await page.getByRole("button", { name: "Bind number" }).click();
  const bound = page.getByRole("heading", { name: "Your number is bound" });
  await expect(bound).toBeFocused();
  await expect(page.getByText(`${mobile.slice(0, 3)}***${mobile.slice(-3)}`)).toBeVisible();
  await look(page, "4-bound");
  await page.reload();
  await expect(bound).toBeVisible();
  await page.getByRole("button", { name: "Log out" }).click();
  await expect(page.getByLabel("Mobile number")).toBeVisible();
});

test("a wrong code is told, and the right one still binds", async ({ page, context, mobile }) => {
  await page.goto("/");
  const inbox = await openInbox(context);
  await send(page, mobile);
  const code = await readCode(inbox, mobile);
  const field = page.getByLabel("Verification code");
  await field.fill(code === "0000" ? "0001" : "0000");
  await page.getByRole("button", { name: "Bind number" }).click();
  await expect(page.getByRole("alert")).toHaveText("The verification code is wrong");
  await look(page, "5-wrong-code");
  await field.fill(code);
  await page.getByRole("button", { name: "Bind number" }).click();
  await expect(page.getByRole("heading", { name: "Your number is bound" })).toBeVisible();
});

test("an old code has expired, and another can be sent after the countdown", async ({ page, context, mobile }) => {
  await page.clock.install();
  await page.goto("/");
  const inbox = await openInbox(context);
  await send(page, mobile);
  const old = await readCode(inbox, mobile);
  await expect(page.getByRole("button", { name: /^Send again in \d+ s$/ })).toBeDisabled();
  await inbox.getByRole("button", { name: "+ 10 min" }).click();
  await inbox.getByRole("button", { name: "+ 1 min", exact: true }).click();
  await expect(inbox.getByText("The service's time")).toBeVisible();
  await page.clock.fastForward(61_000);
  await page.getByLabel("Verification code").fill(old);
  await page.getByRole("button", { name: "Bind number" }).click();
  await expect(page.getByRole("alert")).toHaveText("The verification code has expired");
  await page.getByRole("button", { name: "Send again", exact: true }).click();
  await expect(page.getByRole("status")).toHaveText("Code sent");
  await expect(inbox.getByRole("listitem").filter({ hasText: mobile })).toHaveCount(2);
  await page.getByLabel("Verification code").fill(await readCode(inbox, mobile));
  await page.getByRole("button", { name: "Bind number" }).click();
  await expect(page.getByRole("heading", { name: "Your number is bound" })).toBeVisible();
});

test("the number of another account, and one's own, are refused", async ({
  page,
  context,
  browser,
  mobile,
  service,
}) => {
  const others = newMobile(test.info().workerIndex);
  const inbox = await openInbox(context);
  const stranger = await browser.newContext({ baseURL: service.url, locale: "en-US" });
  const elsewhere = await stranger.newPage();
  await elsewhere.goto("/");
  await bind(elsewhere, inbox, others);
  await stranger.close();
  await page.goto("/");
  await bind(page, inbox, mobile);
  await advance(service, 61);
  for (const [taken, words] of [
    [others, "This number is bound to another account"],
    [mobile, "This is already your number. Use a new one"],
  ] as const) {
    await page.goto("/");
    await page.getByRole("button", { name: "Change number" }).click();
    await send(page, taken);
    await page.getByLabel("Verification code").fill(await readCode(inbox, taken));
    await page.getByRole("button", { name: "Bind number" }).click();
    await expect(page.getByRole("alert")).toHaveText(words);
  }
  await look(page, "6-own-number");
  await page.getByRole("button", { name: "Use another number" }).click();
  await page.getByRole("button", { name: "Keep the current number" }).click();
  await expect(page.getByRole("heading", { name: "Your number is bound" })).toBeVisible();
});

test("by keyboard alone, with a pasted code", async ({ page, context, mobile }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const inbox = await openInbox(context);
  await page.goto("/");
  await page.bringToFront();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("combobox", { name: "Language" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.type(mobile);
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Verification code")).toBeFocused();
  await inbox.bringToFront();
  await inbox.getByRole("searchbox").fill(mobile);
  await inbox.getByRole("button", { name: "Copy" }).press("Enter");
  await expect(inbox.getByText("Copied")).toBeVisible();
  await page.bringToFront();
  await page.keyboard.press("ControlOrMeta+V");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Your number is bound" })).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Change number" })).toBeFocused();
});

test("a number that is none, a provider that refuses, and no connection", async ({ page, context, mobile, faults }) => {
  await page.goto("/");
  await page.getByLabel("Mobile number").fill("12345");
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(page.getByRole("alert")).toHaveText("This is not a valid mobile number");
  // Beside the prefix, also while it is marked as wrong.
  await expect(page.getByLabel("Mobile number")).toHaveCSS("padding-left", "57.6px");
  await look(page, "7-malformed");
  const inbox = await openInbox(context);
  await inbox.getByLabel("Messages to").fill(mobile);
  await inbox.getByRole("button", { name: "Set" }).click();
  await expect(inbox.getByText(`${mobile} is refused`)).toBeVisible();
  await page.getByLabel("Mobile number").fill(mobile);
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(page.getByRole("alert")).toContainText("the SMS provider refuses this number");
  await inbox.getByRole("button", { name: `Undo for ${mobile}` }).click();
  await expect(inbox.getByText(`${mobile} is refused`)).toBeHidden();
  await context.setOffline(true);
  await page.getByRole("button", { name: "Send code" }).click();
  await expect(page.getByRole("alert")).toHaveText("No connection. Check your network and try again");
  await context.setOffline(false);
  // The browser says itself that it is offline.
  forgive(faults, (fault) => fault.includes("ERR_INTERNET_DISCONNECTED"));
});

for (const { name, title, refusal, field, button } of [
  { name: "简体中文", title: "绑定手机号", refusal: "手机号码格式错误", field: "手机号码", button: "获取验证码" },
  { name: "繁體中文", title: "綁定手機號碼", refusal: "手機號碼格式錯誤", field: "手機號碼", button: "取得驗證碼" },
  {
    name: "Español",
    title: "Vincula tu número de móvil",
    refusal: "El número de móvil no es válido",
    field: "Número de móvil",
    button: "Enviar código",
  },
]) {
  test(`in ${name}`, async ({ page }) => {
    await page.goto("/");
    await page.getByRole("combobox", { name: "Language" }).selectOption(name);
    await expect(page.getByRole("heading", { name: title })).toBeVisible();
    await expect(page).toHaveTitle(title);
    await page.getByLabel(field, { exact: true }).fill("1");
    await page.getByRole("button", { name: button }).click();
    await expect(page.getByRole("alert")).toHaveText(refusal);
    await look(page, `8-${title.slice(0, 7)}`);
    await page.reload();
    await expect(page.getByRole("heading", { name: title })).toBeVisible();
  });
}

test("nothing jumps when a message comes", async ({ page }) => {
  await page.goto("/");
  const button = page.getByRole("button", { name: "Send code" });
  const before = await button.boundingBox();
  await page.getByLabel("Mobile number").fill("1");
  await button.click();
  await expect(page.getByRole("alert")).toBeVisible();
  expect(await button.boundingBox()).toEqual(before);
});

test("the page weighs under 60 kB", async ({ page }) => {
  expect(await weigh(page, "/")).toBeLessThan(60_000);
});
