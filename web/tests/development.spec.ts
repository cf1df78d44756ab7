import { lastCode } from "../../openapi/typescript/test/service.ts";
import { expect, look, openInbox, test } from "./fixtures.ts";

test("the inbox shows messages as they come, and finds them by number", async ({ page, context, mobile, request }) => {
  const inbox = await openInbox(context);
  await look(inbox, "9-inbox-empty");
  await request.post("/user/appmobilebindverifysend?lang=en", { form: { mobile } });
  await expect(inbox.getByRole("listitem").filter({ hasText: mobile })).toBeVisible();
  await request.post("/dev/sms/behaviour", { data: { mobile, behaviour: "hang" } });
  await expect(inbox.getByText(`${mobile} hangs`)).toBeVisible();
  await look(inbox, "9-inbox");
  await inbox.getByRole("searchbox").fill("nobody");
  await expect(inbox.getByText("Nothing was sent to a number with nobody.")).toBeVisible();
  await page.close();
});

test("the explorer binds a number, and asks nobody else", async ({ page, service, mobile }) => {
  await page.goto("/docs");
  await expect(page).toHaveTitle("API explorer · mobile-bind");
  const operation = page.getByRole("region", { name: "Bind a mobile number" });
  // What it may answer, each with its words.
  await operation
    .getByLabel("Example answers of bindMobile")
    .selectOption({ label: "-50: This number is bound to another account" });
  await expect(operation.getByRole("region", { name: "Example" })).toContainText('"code": -50');
  await look(page, "15-explorer");
  await page.request.post("/user/appmobilebindverifysend?uuid=explorer", { form: { mobile } });
  await operation.getByText("Try it").click();
  await operation.getByLabel("uuid").fill("explorer");
  const body = JSON.stringify({ mobile, verify: await lastCode(service, mobile), nickname: "explorer" });
  await operation.getByLabel("Body, as JSON").fill(body);
  await operation.getByRole("button", { name: "Send" }).click();
  await expect(operation.getByRole("status")).toContainText("HTTP 200");
  await expect(operation.getByRole("region", { name: "The answer" })).toContainText("Mobile number bound");
  await operation.getByText("What it takes").click();
  await operation.getByText("As curl").click();
  await look(page, "16-explorer-bound");
  // The bind's token is there to go on with.
  await expect(page.getByLabel("Session token")).not.toHaveValue("");
  const lookUp = page.getByRole("region", { name: "Look a token up" });
  await lookUp.getByText("Try it").press("Enter");
  await lookUp.getByLabel("Body, as JSON").fill("{}");
  await lookUp.getByRole("button", { name: "Send" }).press("Enter");
  await expect(lookUp.getByRole("region", { name: "The answer" })).toContainText(mobile);
});
