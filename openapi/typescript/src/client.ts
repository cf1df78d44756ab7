import { type Failure, fault, type Result, read, type User } from "./result.js";
import type { components, paths } from "./schema.js";
import { type AbortSignalLike, fetchTransport, type Transport } from "./transport.js";

/** The operations, by path: one that the document gains can be called as soon as the types are made anew. */
export type Path = keyof paths;

type Operation<P extends Path> = paths[P]["post"];
type Media<T> = T extends { content: { "application/json": infer Body } } ? Body : never;

/** What an operation takes. */
export type Body<P extends Path> = Media<NonNullable<Operation<P>["requestBody"]>>;
/** What an operation answers in `data` on success. */
export type Data<P extends Path> = Extract<Media<Operation<P>["responses"][200]>, { code: 0 }>["data"];

type Query = NonNullable<Operation<"/user/appmobilebind">["parameters"]["query"]>;
/** The kind of client. */
export type ClientType = NonNullable<Query["application_client_type"]>;
/** A language that the service answers in. */
export type Language = NonNullable<Query["lang"]>;
/** What a bind takes besides number and code. */
export type Profile = Omit<components["schemas"]["BindMobileRequest"], "mobile" | "verify">;

/** How far a code came. */
export type CodeStatus = Data<"/user/appmobilebindverifystatus">["status"];

/** What is the same for all requests. */
export interface Options {
  /** Where the service is, such as `https://shop.example`. Empty: where the page comes from. */
  baseUrl: string;
  /** The kind of client. */
  clientType: ClientType;
  /** The requesting application; `web` unless said otherwise. */
  application?: NonNullable<Query["application"]>;
  /** This installation's id: made once, kept, and sent with every request. `keptUuid` keeps one. */
  uuid: string;
  /** The session token, asked for at each request. */
  token?: () => string | null;
  /** The language of the answers, asked for at each request. */
  language?: () => Language;
  /** How requests are sent; `fetch` unless said otherwise. */
  transport?: Transport;
  /** How long to wait for an answer, in milliseconds; 10,000 unless said otherwise. */
  timeout?: number;
}

/** What one call may say. */
export interface CallOptions {
  /** Gives the call up; it then rejects with an error named `AbortError`. */
  signal?: AbortSignalLike;
  /** How long to wait for an answer, in milliseconds. */
  timeout?: number;
  /** How often to ask again when no answer comes. Every try carries the same `Idempotency-Key`. */
  retries?: number;
}

export type Client = ReturnType<typeof createClient>;

/** A client of the service. */
export function createClient(options: Options) {
  const transport = options.transport ?? fetchTransport();

  /** Calls any operation of the document. */
  async function call<P extends Path>(
    path: P,
    body: Body<P>,
    own: CallOptions = {},
  ): Promise<Result<{ data: Data<P> }>> {
    const query = [
      ["application", options.application ?? "web"],
      ["application_client_type", options.clientType],
      ["uuid", options.uuid],
      ["lang", options.language?.() ?? ""],
    ];
    const given = query.filter(([, value]) => value !== "");
    const url = `${options.baseUrl}${path}?${given.map((pair) => pair.map(encodeURIComponent).join("=")).join("&")}`;
    const headers: Record<string, string> = { "Content-Type": "application/json", "Idempotency-Key": makeUuid() };
    const token = options.token?.();
    if (token) {
      // Not in the URL, which proxies write into their logs.
      headers["Authorization"] = `Bearer ${token}`;
    }
    const request = { url, headers, body: JSON.stringify(body) };
    const timeout = own.timeout ?? options.timeout ?? 10_000;
    for (let left = own.retries ?? 0; ; left -= 1) {
      const tried = await once<Data<P>>(transport, request, timeout, own.signal);
      if (tried.ok || tried.code !== "offline" || left <= 0) {
        return tried;
      }
    }
  }

  return {
    call,

    /**
     * Sends a verification code to a number. Where the last answer had `captcha`, say here what its widget gave. A send is not
     * repeated by itself; with `retries` it is, under one key, and costs one message.
     */
    async sendCode(mobile: string, own: CallOptions & { captcha?: string } = {}): Promise<Result<unknown>> {
      const { captcha, ...options } = own;
      return call("/user/appmobilebindverifysend", captcha ? { mobile, captcha } : { mobile }, options);
    },

    /**
     * Whether an SMS provider took the last code that this installation asked for: `accepted`, `failed`, or `pending` while that is
     * not known.
     */
    async codeStatus(mobile: string, own?: CallOptions): Promise<Result<{ status: CodeStatus }>> {
      const result = await call("/user/appmobilebindverifystatus", { mobile }, { retries: 1, ...own });
      return result.ok ? { ok: true, status: result.data.status } : result;
    },

    /**
     * Binds a number with the code that was sent to it. Keep `user.token`: it is the session to go on with, and the one that
     * was there before has ended. A bind whose answer is lost is asked again: the service answers it as the first time.
     */
    async bind(
      mobile: string,
      verify: string,
      profile: Profile = {},
      own?: CallOptions,
    ): Promise<Result<{ user: User }>> {
      return user(await call("/user/appmobilebind", { ...profile, mobile, verify }, { retries: 1, ...own }));
    },

    /**
     * Logs a mini-program in by its platform's code (`wx.login` and the like). `is_user_exist` tells whether `data` is a user with a
     * token. Keep `auth_ticket` for one bind within ten minutes. A code is good once, so that a log-in is never repeated by itself.
     */
    async logIn(authcode: string, own?: CallOptions): Promise<Result<{ data: Data<"/user/appminiuserauth"> }>> {
      return call("/user/appminiuserauth", { authcode }, own);
    },

    /** Binds the number that the mini-program's platform vouches for. */
    async bindVouched(shown: Body<"/user/onekeyusermobilebind">, own?: CallOptions): Promise<Result<{ user: User }>> {
      return user(await call("/user/onekeyusermobilebind", shown, own));
    },

    /** The user of the session token. */
    async currentUser(own?: CallOptions): Promise<Result<{ user: User }>> {
      return user(await call("/user/tokenuserinfo", {}, { retries: 1, ...own }));
    },

    /** Ends the session. */
    async logOut(own?: CallOptions): Promise<Result<unknown>> {
      return call("/user/logout", {}, own);
    },
  };
}

function user(result: { ok: true; data: User } | Failure): Result<{ user: User }> {
  return result.ok ? { ok: true, user: result.data } : result;
}

/** One try. */
async function once<D>(
  transport: Transport,
  request: { url: string; headers: Record<string, string>; body: string },
  timeout: number,
  caller?: AbortSignalLike,
): Promise<Result<{ data: D }>> {
  const ending = makeSignal();
  const end = () => ending.abort();
  if (caller?.aborted) {
    throw aborted();
  }
  caller?.addEventListener("abort", end);
  const timer = setTimeout(end, timeout);
  try {
    const answer = await transport({ ...request, signal: ending.signal });
    return read<D>(answer.body, answer.retryAfter);
  } catch (error) {
    if (caller?.aborted) {
      throw aborted();
    }
    const late = ending.signal.aborted;
    return fault(late ? "timeout" : "offline", late ? `no answer in ${timeout} ms` : String(error));
  } finally {
    clearTimeout(timer);
    caller?.removeEventListener("abort", end);
  }
}

/** As an `AbortController`, which mini-programs have not. */
function makeSignal() {
  const listeners = new Set<() => void>();
  const signal = {
    aborted: false,
    addEventListener: (_: "abort", listener: () => void) => void listeners.add(listener),
    removeEventListener: (_: "abort", listener: () => void) => void listeners.delete(listener),
  };
  const abort = () => {
    signal.aborted = true;
    for (const listener of listeners) {
      listener();
    }
  };
  return { signal, abort };
}

function aborted(): Error {
  const error = new Error("the call was given up");
  error.name = "AbortError";
  return error;
}

/** A random id (RFC 9562, version 4), where the platform has cryptographic randomness; else one that is merely unlikely to repeat. */
export function makeUuid(): string {
  const bytes = new Uint8Array(16);
  if (globalThis.crypto?.getRandomValues) {
    globalThis.crypto.getRandomValues(bytes);
  } else {
    bytes.forEach((_, index) => {
      bytes[index] = Math.floor(Math.random() * 256);
    });
  }
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Where an installation keeps its id: `localStorage`, or three lines over `wx.getStorageSync`. */
export interface Storage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** This installation's id, made where there is none yet. */
export function keptUuid(storage: Storage, key = "mobile-bind.uuid"): string {
  const kept = storage.getItem(key);
  if (kept) {
    return kept;
  }
  const made = makeUuid();
  storage.setItem(key, made);
  return made;
}
