import type { components } from "./schema.js";

/** The account that an answer tells of. */
export type User = components["schemas"]["User"];

/** Why the service refuses; the document says what each code means. */
export type RefusalCode = components["schemas"]["ErrorEnvelope"]["code"];

/** Why there is no answer to read: none came, none came in time, or what came was no envelope. */
export type Fault = "offline" | "timeout" | "unreadable";

/** What went wrong. */
export interface Failure {
  ok: false;
  /** The service's code, or a fault on the way to it. */
  code: RefusalCode | Fault;
  /** What to show the person, in the language asked for. Of a fault on the way: words for developers. */
  message: string;
  /** Seconds to wait before asking again; null where waiting does not help or nothing is known. */
  retryAfter: number | null;
  /** Only where a solved captcha helps: show the provider's widget, and send again with what it gave as `captcha`. */
  captcha?: NonNullable<components["schemas"]["ErrorEnvelope"]["captcha"]>;
}

/** What an operation came to. */
export type Result<Success> = ({ ok: true } & Success) | Failure;

/** Reads an envelope. */
export function read<Data>(body: string, retryAfter: string | null): Result<{ data: Data }> {
  let envelope: unknown;
  try {
    envelope = JSON.parse(body);
  } catch {
    return fault("unreadable", "the answer is no JSON");
  }
  if (typeof envelope !== "object" || envelope === null || !("code" in envelope) || !("data" in envelope)) {
    return fault("unreadable", "the answer is no envelope");
  }
  if (envelope.code === 0) {
    return { ok: true, data: envelope.data as Data };
  }
  const message = "msg" in envelope ? String(envelope.msg) : "";
  const seconds = Number(retryAfter ?? Number.NaN);
  const failure: Failure = {
    ok: false,
    code: envelope.code as RefusalCode,
    message,
    retryAfter: Number.isFinite(seconds) ? seconds : null,
  };
  if ("captcha" in envelope) {
    failure.captcha = envelope.captcha as NonNullable<Failure["captcha"]>;
  }
  return failure;
}

export function fault(code: Fault, message: string): Failure {
  return { ok: false, code, message, retryAfter: null };
}
