import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Client,
  createClient,
  fetchTransport,
  keptUuid,
  type Language,
  makeUuid,
  type Transport,
  type User,
} from "../src/index.js";
import { advance, lastCode, type Service, startService } from "./service.js";

let service: Service;
let next = 13_900_000_000;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** A client of its own, that keeps its token. */
function makeClient(own: Partial<Parameters<typeof createClient>[0]> = {}): { client: Client; keep(user: User): void } {
  let token: string | null = null;
  const options = { baseUrl: service.url, clientType: "h5", uuid: makeUuid(), language: (): Language => "en" } as const;
  const client = createClient({ ...options, token: () => token, ...own });
  return { client, keep: (user) => (token = user.token) };
}

function number(): string {
  next += 1;
  return String(next);
}

async function bound(client: Client, mobile: string): Promise<User> {
  expect(await client.sendCode(mobile)).toMatchObject({ ok: true });
  const result = await client.bind(mobile, await lastCode(service, mobile), { nickname: "小明" });
  if (!result.ok) {
    throw new Error(result.message);
  }
  return result.user;
}

test("a number is bound, looked up, and logged out", async () => {
  const { client, keep } = makeClient();
  const mobile = number();
  const user = await bound(client, mobile);
  expect(user).toMatchObject({ mobile, nickname: "小明", platform: "h5", is_mandatory_bind_mobile: 0 });
  keep(user);
  expect(await client.currentUser()).toMatchObject({ ok: true, user: { id: user.id, mobile } });
  expect(await client.logOut()).toMatchObject({ ok: true });
  expect(await client.currentUser()).toMatchObject({ ok: false, code: -1 });
});

test("the client that asked for a code learns whether a provider took it, and no other", async () => {
  const { client } = makeClient();
  const mobile = number();
  expect(await client.codeStatus(mobile)).toMatchObject({ ok: false, code: -10 });
  await client.sendCode(mobile);
  await expect.poll(() => client.codeStatus(mobile)).toEqual({ ok: true, status: "accepted" });
  expect(await makeClient().client.codeStatus(mobile)).toMatchObject({ ok: false, code: -10 });
});

test("refusals keep their code, words and wait", async () => {
  const { client, keep } = makeClient();
  const mobile = number();
  await client.sendCode(mobile);
  const again = await client.sendCode(mobile);
  expect(again).toMatchObject({ ok: false, code: -100 });
  expect(!again.ok && again.retryAfter).toBeGreaterThan(50);
  const code = await lastCode(service, mobile);
  const wrong = code === "0000" ? "0001" : "0000";
  const message = "The verification code is wrong";
  expect(await client.bind(mobile, wrong)).toEqual({ ok: false, code: -11, message, retryAfter: null });
  await advance(service, 601);
  expect(await client.bind(mobile, code)).toMatchObject({ ok: false, code: -10 });
  keep(await bound(client, mobile));
  await advance(service, 61);
  await client.sendCode(mobile);
  expect(await client.bind(mobile, await lastCode(service, mobile))).toMatchObject({ ok: false, code: -51 });
});

test("a number of another account is told", async () => {
  const [one, other] = [makeClient(), makeClient()];
  const mobile = number();
  await bound(other.client, mobile);
  one.keep(await bound(one.client, number()));
  await advance(service, 61);
  await one.client.sendCode(mobile);
  expect(await one.client.bind(mobile, await lastCode(service, mobile))).toMatchObject({ ok: false, code: -50 });
});

test("a mini-program's openid goes with the profile", async () => {
  const { client } = makeClient({ clientType: "weixin" });
  const mobile = number();
  await client.sendCode(mobile);
  const code = await lastCode(service, mobile);
  expect(await client.bind(mobile, code)).toMatchObject({ ok: false, code: -20 });
  const openid = `o${mobile}`;
  expect(await client.bind(mobile, code, { weixin_openid: openid })).toMatchObject({ user: { weixin_openid: openid } });
});

test("a mini-program logs in, and binds the number that its platform vouches for", async () => {
  const { client, keep } = makeClient({ clientType: "weixin" });
  const mobile = number();
  const [name, openid] = [`user${mobile}`, `o-weixin-user${mobile}`];
  const stranger = await client.logIn(`${name}.1`);
  expect(stranger).toMatchObject({ ok: true, data: { is_user_exist: 0, openid } });
  expect(stranger.ok && stranger.data.auth_ticket).toMatch(/^t1\./);
  // The platform takes a code once.
  expect(await client.logIn(`${name}.1`)).toMatchObject({ ok: false, code: -400 });
  const bound = await client.bindVouched({ openid, code: `number-${mobile}.1` });
  if (!bound.ok) {
    throw new Error(bound.message);
  }
  expect(bound.user).toMatchObject({ mobile, weixin_openid: openid, platform: "weixin" });
  keep(bound.user);
  expect(await client.currentUser()).toMatchObject({ ok: true, user: { id: bound.user.id } });
  const again = await client.logIn(`${name}.2`);
  if (!again.ok || again.data.is_user_exist !== 1) {
    throw new Error("the user is known by now");
  }
  expect(again.data).toMatchObject({ id: bound.user.id, mobile });
  expect(again.data.token).not.toBe(bound.user.token);
});

test("what no platform vouches for binds nothing", async () => {
  const { client } = makeClient({ clientType: "weixin" });
  const mobile = number();
  const code = `number-${mobile}.1`;
  expect(await client.bindVouched({ openid: "", code })).toMatchObject({ ok: false, code: -20 });
  const openid = `o-weixin-user${mobile}`;
  await client.logIn(`user${mobile}.1`);
  expect(await client.bindVouched({ openid })).toMatchObject({ ok: false, code: -1 });
  expect(await client.bindVouched({ openid, code: `number-${mobile}` })).toMatchObject({ ok: false, code: -400 });
  expect(await makeClient().client.logIn(`user${mobile}.2`)).toMatchObject({ ok: false, code: -1 });
});

test("the language is asked for at each request", async () => {
  let language: "spa" | "cht" = "spa";
  const { client } = makeClient({ language: () => language });
  expect(await client.sendCode("1")).toMatchObject({ message: "El número de móvil no es válido" });
  language = "cht";
  expect(await client.sendCode("1")).toMatchObject({ message: "手機號碼格式錯誤" });
});

test("a bind whose answer is lost is asked again, with the same key, and is answered as the first time", async () => {
  const keys: string[] = [];
  const real = fetchTransport();
  const losing: Transport = async (request) => {
    const answer = await real(request);
    if (request.url.includes("/user/appmobilebind?")) {
      keys.push(request.headers["Idempotency-Key"] ?? "");
      if (keys.length === 1) {
        throw new TypeError("the connection is gone");
      }
    }
    return answer;
  };
  const { client } = makeClient({ transport: losing });
  const mobile = number();
  expect(await bound(client, mobile)).toMatchObject({ mobile });
  expect(keys).toHaveLength(2);
  expect(keys[0]).toBe(keys[1]);
});

test("time is up, or the caller gives up", async () => {
  const silent: Transport = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  const { client } = makeClient({ transport: silent, timeout: 20 });
  expect(await client.currentUser()).toMatchObject({ ok: false, code: "timeout" });
  const controller = new AbortController();
  const call = client.currentUser({ signal: controller.signal, timeout: 60_000 });
  controller.abort();
  await expect(call).rejects.toMatchObject({ name: "AbortError" });
  await expect(client.currentUser({ signal: controller.signal })).rejects.toMatchObject({ name: "AbortError" });
});

test("nobody there, and somebody else there", async () => {
  const nobody = makeClient({ baseUrl: "http://127.0.0.1:9" });
  expect(await nobody.client.currentUser()).toMatchObject({ ok: false, code: "offline" });
  for (const body of ["<html>", "[]", "null", '{"error":1}']) {
    const { client } = makeClient({ transport: async () => ({ body, retryAfter: null }) });
    expect(await client.currentUser()).toMatchObject({ ok: false, code: "unreadable" });
  }
});

test("an installation keeps its id", () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  };
  const uuid = keptUuid(storage);
  expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(keptUuid(storage)).toBe(uuid);
  expect(makeUuid()).not.toBe(uuid);
});
