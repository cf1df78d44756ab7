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

test("the explorer tries an operation, and asks nobody else", async ({ page, faults }) => {
  await page.goto("/docs/");
  await page.locator("#operations-Session-getTokenUser").click();
  await page.getByRole("button", { name: "Try it out" }).click();
  await page.getByRole("button", { name: "Execute" }).click();
  await expect(page.locator(".live-responses-table .response .response-col_status").first()).toContainText("200");
  expect(faults).toEqual([]);
});
