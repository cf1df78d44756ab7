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

/** What axe finds in Swagger UI, which is not ours. */
const EXCUSED = [
  "color-contrast",
  "landmark-one-main",
  "nested-interactive",
  "page-has-heading-one",
  "region",
  "scrollable-region-focusable",
  "select-name",
];

test("the explorer binds a number, and asks nobody else", async ({ page, service, mobile, faults }) => {
  await page.goto("/docs");
  await expect(page).toHaveTitle("API explorer · mobile-bind");
  await page.locator("#operations-Binding-bindMobile .opblock-summary-control").click();
  const operation = page.locator("#operations-Binding-bindMobile");
  // What it may answer, each with its words.
  const examples = operation.locator(".responses-wrapper .examples-select-element").first();
  await expect(examples.locator("option").filter({ hasText: "-50: " })).toHaveCount(1);
  await look(page, "15-explorer", EXCUSED);
  await page.request.post("/user/appmobilebindverifysend?uuid=explorer", { form: { mobile } });
  await operation.getByRole("button", { name: "Try it out" }).click();
  await operation.getByPlaceholder("uuid").fill("explorer");
  const body = JSON.stringify({ mobile, verify: await lastCode(service, mobile), nickname: "explorer" });
  await operation.locator("textarea.body-param__text").fill(body);
  await operation.getByRole("button", { name: "Execute" }).click();
  const answer = operation.locator(".live-responses-table .response");
  await expect(answer.locator(".response-col_status").first()).toContainText("200");
  await expect(answer.locator(".response-col_description").first()).toContainText("绑定成功");
  await look(page, "16-explorer-bound", EXCUSED);
  expect(faults).toEqual([]);
});
