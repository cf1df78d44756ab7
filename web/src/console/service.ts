/** How far those came who asked for a code, and what stopped the others; counts. */
export interface Funnel {
  asked: number;
  sent: number;
  delivered: number;
  verified: number;
  bound: number;
  /** By `send:`, `bind:` or `log_in:` and the rule. */
  refused: Record<string, number>;
}

/** What happened until `at` (milliseconds since the Unix epoch), since the frame before. */
export interface Frame extends Funnel {
  at: number;
}

export interface Mean {
  sum: number;
  count: number;
}

export interface Provider {
  /** 1 in use, 0.5 being tried again, 0 left alone; null where nothing was offered to it yet. */
  health: number | null;
  outcomes: Record<string, number>;
  /** By the state they came into; `verified` where their code was used. */
  messages: Record<string, number>;
  seconds: Mean;
  delivery_seconds: Mean;
  /** In whatever the prices in the settings are. */
  cost: number;
}

/** What the service tells of itself. */
export interface Overview {
  operator: string;
  now: number;
  totals: Funnel;
  has_receipts: boolean;
  /** Seconds that a frame stands for. */
  step: number;
  frames: Frame[];
  providers: Record<string, Provider>;
  service: {
    store_ready: boolean;
    trusts_openids: boolean;
    memory_bytes: number;
    disk_bytes: number | null;
    in_flight: number;
    turned_away: number;
    seconds: Record<string, Mean>;
  };
}

export type Span = "hour" | "day";

/** What can be done to an account. */
export type OrderName = "unbind" | "revoke" | "disable" | "enable" | "delete";

/** What an account is on one platform. */
export interface Identity {
  platform: string;
  app: string;
  openid: string | null;
  unionid: string | null;
}

/** A session whose token is good. Times are in milliseconds since the Unix epoch, here and below. */
export interface Session {
  client_type: string;
  issued_at: number;
  used_at: number;
  ends_at: number;
}

/** An account, with number and openids masked. */
export interface Account {
  id: number;
  status: string;
  mobile: string | null;
  mobile_since: number | null;
  identities: Identity[];
  sessions: Session[];
  added_at: number;
  seen_at: number | null;
  ended_at: number | null;
  /** What makes sense now. */
  orders: OrderName[];
}

/** What the audit has of a number. */
export interface AuditEvent {
  at: number;
  action: string;
  /** How many alike it stands for. */
  times: number;
  /** Why it was refused. */
  rule: string | null;
  /** The rule in English. */
  reason: string | null;
  until: number | null;
  number: string | null;
  former: string | null;
  account: number | null;
  client_type: string | null;
  operator: string | null;
  address: string | null;
  request: string;
}

/** What a look-up finds; the account is null where nobody has the number. */
export interface LookedUp {
  now: number;
  account: Account | null;
  /** Oldest first. */
  events: AuditEvent[];
}

/** What is masked in an account. */
export interface Whole {
  mobile: string | null;
  identities: Identity[];
}

/** Why there is no answer. */
export type Fault =
  | "token_wrong"
  | "too_many_attempts"
  | "offline"
  | "failed"
  | "not_found"
  | "invalid"
  | "gone"
  | "no_number"
  | "disabled"
  | "not_disabled"
  | "no_session"
  | "busy"
  | "not_stored";

export class Refused extends Error {
  constructor(
    readonly fault: Fault,
    /** Seconds to wait, where that helps. */
    readonly retryAfter: number | null = null,
  ) {
    super(fault);
  }
}

/** Asks the console's own routes, as the operator whose token it is. */
export async function ask<Answer>(token: string, path: string, body?: unknown): Promise<Answer> {
  const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
  const request: RequestInit = { headers, credentials: "omit" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(request, { method: "POST", body: JSON.stringify(body) });
  }
  let response: Response;
  try {
    response = await fetch(`/console/api/${path}`, request);
  } catch {
    throw new Refused("offline");
  }
  const answer = await response.json().catch(() => ({ error: "failed" }));
  if (!response.ok) {
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    throw new Refused(answer.error ?? "failed", Number.isFinite(seconds) ? seconds : null);
  }
  return answer;
}
