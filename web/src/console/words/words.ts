import type { Stage } from "../series.ts";
import type { Fault, OrderName, Span } from "../service.ts";

/** What can be shown of the console. */
export type View = "overview" | "accounts";

/** What the console says. */
export interface Words {
  title: string;
  language: string;
  views: Record<View, string>;
  signInLead: string;
  token: string;
  signIn: string;
  signOut: string;
  live: string;
  lost: string;
  span: string;
  spans: Record<Span, string>;
  funnel: string;
  stages: Record<Stage, string>;
  noReceipts: string;
  overTime: Record<Span, string>;
  refused: string;
  refusedOverTime: Record<Span, string>;
  operations: Record<"send" | "bind" | "log_in", string>;
  /** Why something was refused, by the name that the metrics have for it. */
  rules: Record<string, string>;
  nothing: string;
  table: string;
  time: string;
  providers: string;
  noProviders: string;
  health: Record<"good" | "trial" | "bad", string>;
  outcomes: Record<string, string>;
  message: string;
  takes: string;
  delivery: string;
  cost: string;
  service: string;
  store: string;
  ready: string;
  notReady: string;
  memory: string;
  disk: string;
  inFlight: string;
  turnedAway: string;
  trustsOpenids: string;
  routes: Record<string, string>;
  faults: Record<Fault, string>;
  accounts: AccountWords;
}

/** What the console says of accounts. */
export interface AccountWords {
  look: string;
  name: string;
  hint: string;
  looking: string;
  account: string;
  nobody: string;
  statuses: Record<string, string>;
  number: string;
  none: string;
  show: string;
  hide: string;
  shown: string;
  since: string;
  added: string;
  ended: string;
  seen: string;
  identities: string;
  noIdentities: string;
  sessions: string;
  noSessions: string;
  lastUsed: string;
  ends: string;
  /** Client types and platforms. */
  clients: Record<string, string>;
  orders: Record<OrderName, string>;
  /** Ends one session, said with its client type. */
  endOne: string;
  /** What an order does, before it is given. */
  asks: Record<OrderName, string>;
  cancel: string;
  done: Record<OrderName, string>;
  events: string;
  noEvents: string;
  noNumber: string;
  actions: Record<string, string>;
  /** Rules in words; one that is not here is said as the service says it. */
  reasons: Record<string, string>;
  until: string;
  former: string;
  operator: string;
  service: string;
  address: string;
  request: string;
}
