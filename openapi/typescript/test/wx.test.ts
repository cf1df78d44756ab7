import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { createClient, makeUuid } from "../src/index.js";
import { type Wx, wxTransport } from "../src/wx.js";
import { lastCode, type Service, startService } from "./service.js";

let service: Service;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());
afterEach(() => vi.unstubAllGlobals());

/** A stand-in for `wx` over Node's `fetch`, which it takes along before the test hides it. */
function standIn(): Wx {
  const own = globalThis.fetch;
  const Controller = globalThis.AbortController;
  return {
    request({ url, method, data, header, success, fail }) {
      vi.unstubAllGlobals();
      const controller = new Controller();
      own(url, { method, body: data, headers: header, signal: controller.signal })
        .then(async (answer) => {
          // wx writes headers as the server did, or in its own case.
          const headers = Object.fromEntries([...answer.headers].map(([name, value]) => [name.toUpperCase(), value]));
          success({ data: await answer.text(), header: headers });
        })
        .catch((error) => fail({ errMsg: `request:fail ${error}` }));
      return { abort: () => controller.abort() };
    },
  };
}

test("a mini-program binds, with nothing that it lacks", async () => {
  const wx = standIn();
  const mobile = "13800138000";
  const client = createClient({
    baseUrl: service.url,
    clientType: "weixin",
    uuid: makeUuid(),
    transport: wxTransport(wx),
  });
  const missing = ["fetch", "AbortController", "AbortSignal", "Request", "Response", "Headers", "URL", "crypto"];
  const call = async (calling: () => ReturnType<typeof client.sendCode>) => {
    // Hidden while the client works; the stand-in's own fetch needs them back as soon as it is called.
    for (const name of missing) {
      vi.stubGlobal(name, undefined);
    }
    return calling();
  };
  expect(await call(() => client.sendCode(mobile))).toMatchObject({ ok: true });
  const again = await call(() => client.sendCode(mobile));
  expect(again).toMatchObject({ ok: false, code: -100 });
  expect(!again.ok && again.retryAfter).toBeGreaterThan(50);
  const code = await lastCode(service, mobile);
  expect(await client.bind(mobile, code, { weixin_openid: "oWX" })).toMatchObject({ user: { weixin_openid: "oWX" } });
});

test("a request that fails or takes too long is ended", async () => {
  const options = { clientType: "weixin", uuid: makeUuid() } as const;
  const nobody = createClient({ ...options, baseUrl: "http://127.0.0.1:9", transport: wxTransport(standIn()) });
  expect(await nobody.currentUser()).toMatchObject({ code: "offline" });
  const abort = vi.fn();
  const silent: Wx = {
    request: ({ fail }) => {
      abort.mockImplementation(() => fail({ errMsg: "request:fail abort" }));
      return { abort };
    },
  };
  const late = createClient({ ...options, baseUrl: "", transport: wxTransport(silent), timeout: 10 });
  expect(await late.currentUser()).toMatchObject({ code: "timeout" });
  expect(abort).toHaveBeenCalledOnce();
});

test("parsed data and missing headers are taken too", async () => {
  const parsing: Wx = {
    request: ({ success }) => {
      success({ data: { msg: "m", code: -400, data: [] } });
      return undefined;
    },
  };
  const client = createClient({ baseUrl: "", clientType: "weixin", uuid: "u", transport: wxTransport(parsing) });
  expect(await client.logOut()).toEqual({ ok: false, code: -400, message: "m", retryAfter: null });
});
