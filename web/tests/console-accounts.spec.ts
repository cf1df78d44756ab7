import type { APIRequestContext, Page } from "@playwright/test";
import { lastCode, type Service } from "../../openapi/typescript/test/service.ts";
import { enterConsole, expect, expectRefusals, look, test } from "./fixtures.ts";

/** A number that was refused, then bound, and is logged in on two clients and tied to WeChat. */
async function live(request: APIRequestContext, service: Service, mobile: string): Promise<string> {
  const send = () => request.post("/user/appmobilebindverifysend", { form: { mobile } });
  await send();
  await send();
  const verify = await lastCode(service, mobile);
  const bind = (type: string, code: string, form = {}) =>
    request.post(`/user/appmobilebind?application_client_type=${type}`, { form: { mobile, verify: code, ...form } });
  await bind("h5", verify === "0000" ? "0001" : "0000");
  const bound = await bind("weixin", verify, { weixin_openid: `o-${mobile}` });
  return (await bound.json()).data.id;
}

async function openAccounts(page: Page, service: Service): Promise<void> {
  await enterConsole(page, service);
  await page.getByRole("link", { name: "Accounts" }).click();
}

async function lookUp(page: Page, name: string): Promise<void> {
  await page.getByLabel("Mobile number or account id").fill(name);
  await page.getByRole("button", { name: "Look up" }).click();
}

test("an operator finds out why a number was refused, and acts", async ({ page, service, request, mobile }) => {
  const id = await live(request, service, mobile);
  const masked = `${mobile.slice(0, 3)}***${mobile.slice(-3)}`;
  await openAccounts(page, service);
  await expect(page.getByLabel("Mobile number or account id")).toBeFocused();
  await look(page, "15-accounts");
  await lookUp(page, mobile);
  await expect(page.getByRole("heading", { name: `Account ${id} normal` })).toBeFocused();
  const card = page.getByRole("region", { name: `Account ${id}` });
  await expect(card.getByText(masked)).toBeVisible();
  await expect(card.getByText("openid o-1***")).toBeVisible();
  const events = page.getByRole("region", { name: "What happened, and why" });
  await expect(events.getByText("Code not sent: a code had gone to the number a moment before")).toBeVisible();
  await expect(events.getByText("Wrong code", { exact: true })).toBeVisible();
  await expect(events.getByText("Account made and bound")).toBeVisible();
  await look(page, "16-account");
  // Whole, and noted; the address names nobody.
  await expect(page.getByText(mobile)).toBeHidden();
  await page.getByRole("button", { name: "Show whole" }).click();
  await expect(card.getByText(mobile, { exact: true })).toBeVisible();
  await expect(card.getByText(`openid o-${mobile}`)).toBeVisible();
  await expect(page.getByRole("status").filter({ hasText: "The audit has noted it" })).toBeVisible();
  await page.getByRole("button", { name: "Mask" }).click();
  await expect(card.getByText(masked)).toBeVisible();
  expect(page.url()).toBe(`${service.console}#accounts`);
  await lookUp(page, id);
  await expect(events.getByText("Number shown whole")).toBeVisible();
  await expect(events.getByText(`operator alice · Account ${id}`).first()).toBeVisible();
});

test("orders are asked about, carried out and told", async ({ page, service, request, mobile }) => {
  const id = await live(request, service, mobile);
  await openAccounts(page, service);
  await lookUp(page, id);
  const card = page.getByRole("region", { name: `Account ${id}` });
  const status = page.getByRole("status").filter({ hasText: /\.$/ });
  const dialog = page.getByRole("dialog");

  await card.getByRole("button", { name: "Unbind number" }).click();
  await expect(dialog.getByRole("button", { name: "Cancel" })).toBeFocused();
  await look(page, "17-account-confirm");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(card.getByRole("button", { name: "Unbind number" })).toBeFocused();

  await card.getByRole("button", { name: "End session: WeChat" }).click();
  await dialog.getByRole("button", { name: "End session: WeChat" }).click();
  await expect(status).toHaveText("The session has ended.");
  await expect(card.getByText("Logged in nowhere.")).toBeVisible();

  await card.getByRole("button", { name: "Disable" }).click();
  await dialog.getByRole("button", { name: "Disable" }).click();
  await expect(page.getByRole("heading", { name: `Account ${id} disabled` })).toBeFocused();
  await look(page, "18-account-disabled");
  await card.getByRole("button", { name: "Enable" }).click();
  await dialog.getByRole("button", { name: "Enable" }).click();
  await expect(status).toHaveText("The account is enabled.");

  await card.getByRole("button", { name: "Unbind number" }).click();
  await dialog.getByRole("button", { name: "Unbind number" }).click();
  await expect(status).toHaveText("The number is unbound.");
  await expect(card.getByText("none", { exact: true })).toBeVisible();
  const events = page.getByRole("region", { name: "What happened, and why" });
  await expect(events.getByRole("listitem").first()).toContainText("Number unbound");

  await card.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("heading", { name: `Account ${id} deleted` })).toBeFocused();
  await expect(card.getByRole("button")).toHaveCount(0);
  // The number is somebody else's to take, and what happened to it is still known.
  await lookUp(page, mobile);
  await expect(page.getByRole("heading", { name: "No account has this number." })).toBeFocused();
  await expect(events.getByText("Number unbound")).toBeVisible();
});

test("what is ordered right after something was cancelled is asked about", async ({
  page,
  service,
  request,
  mobile,
}) => {
  const id = await live(request, service, mobile);
  await openAccounts(page, service);
  await lookUp(page, id);
  const card = page.getByRole("region", { name: `Account ${id}` });
  const dialog = page.getByRole("dialog");
  await card.getByRole("button", { name: "Unbind number" }).click();
  await expect(dialog.getByRole("heading", { name: "Unbind number" })).toBeVisible();
  const disable = await card.getByRole("button", { name: "Disable", includeHidden: true }).elementHandle();
  // Both before the browser tells of anything.
  await dialog.getByRole("button", { name: "Cancel" }).evaluate((cancel, next) => {
    for (const button of [cancel, next]) {
      (button as HTMLElement).click();
    }
  }, disable);
  await expect(dialog.getByRole("heading", { name: "Disable" })).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toBeHidden();
});

test("what cannot be found is said", async ({ page, service, faults }) => {
  await openAccounts(page, service);
  await lookUp(page, "somebody");
  const status = page.getByRole("status").filter({ hasText: /\.$/ });
  await expect(status).toHaveText("Enter a mobile number or an account id.");
  await expect(page.getByLabel("Mobile number or account id")).toBeFocused();
  await lookUp(page, "#9999999999");
  await expect(status).toHaveText("There is no account of that id.");
  await look(page, "19-account-not-found");
  await lookUp(page, "19999999999");
  await expect(page.getByText("The audit knows nothing of this number.")).toBeVisible();
  expectRefusals(faults);
});

test("accounts by keyboard alone", async ({ page, service, request, mobile }) => {
  const id = await live(request, service, mobile);
  await openAccounts(page, service);
  // What is typed before would be lost.
  await expect(page.getByLabel("Mobile number or account id")).toBeFocused();
  await page.keyboard.type(mobile);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: `Account ${id} normal` })).toBeFocused();
  const press = async (name: string) => {
    for (let tabs = 0; tabs < 12; tabs += 1) {
      await page.keyboard.press("Tab");
      if (await page.getByRole("button", { name, exact: true }).evaluate((button) => button.matches(":focus"))) {
        await page.keyboard.press("Enter");
        return;
      }
    }
    throw new Error(`${name} cannot be reached`);
  };
  await press("Disable");
  // Enter alone, on what has the focus first, does nothing.
  const cancel = page.getByRole("dialog").getByRole("button", { name: "Cancel" });
  await expect(cancel).toBeFocused();
  await page.keyboard.press("Enter");
  const disable = page.getByRole("button", { name: "Disable", exact: true });
  await expect(disable).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(cancel).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: `Account ${id} disabled` })).toBeFocused();
});

for (const { name, tab, field, button, events, reason } of [
  {
    name: "简体中文",
    tab: "帐号查询",
    field: "手机号或帐号 ID",
    button: "查询",
    events: "发生了什么，为什么",
    reason: "未发送验证码: 刚刚向该号码发送过验证码",
  },
  {
    name: "繁體中文",
    tab: "帳號查詢",
    field: "手機號碼或帳號 ID",
    button: "查詢",
    events: "發生了什麼，為什麼",
    reason: "未發送驗證碼: 剛剛向該號碼發送過驗證碼",
  },
  {
    name: "Español",
    tab: "Cuentas",
    field: "Número de móvil o id de cuenta",
    button: "Buscar",
    events: "Qué pasó y por qué",
    reason: "Código no enviado: acababa de enviarse un código",
  },
]) {
  test(`accounts in ${name}`, async ({ page, service, request, mobile }) => {
    await live(request, service, mobile);
    await enterConsole(page, service);
    await page.getByRole("combobox", { name: "Language" }).selectOption(name);
    await page.getByRole("link", { name: tab }).click();
    await page.getByLabel(field).fill(mobile);
    await page.getByRole("button", { name: button, exact: true }).click();
    await expect(page.getByRole("region", { name: events }).getByText(reason)).toBeVisible();
    await look(page, `20-account-${tab}`);
  });
}
