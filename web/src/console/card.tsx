import type { Account, Identity, OrderName, Whole } from "./service.ts";
import { moment } from "./timeline.tsx";
import type { AccountWords } from "./words/index.ts";

interface Properties {
  account: Account;
  /** What is masked, once it was asked for. */
  whole: Whole | null;
  words: AccountWords;
  tag: string;
  busy: boolean;
  onUnmask: () => void;
  onOrder: (order: OrderName, clientType?: string) => void;
}

/** An account: what it is, where it is logged in, and what can be done to it. */
export function Card({ account, whole, words, tag, busy, onUnmask, onOrder }: Properties) {
  const at = (time: number | null) => (time === null ? null : moment(time, tag));
  const identities = whole?.identities ?? account.identities;
  const isMasked = account.mobile !== null || account.identities.length > 0;
  const facts: [string, string | null][] = [
    [words.number, whole?.mobile ?? account.mobile ?? words.none],
    [words.since, at(account.mobile_since)],
    [words.added, at(account.added_at)],
    [words.seen, at(account.seen_at)],
    [words.ended, at(account.ended_at)],
  ];
  const known = facts.filter(([, value]) => value !== null);
  return (
    <>
      <dl class="facts">
        {known.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
      {isMasked && (
        <button type="button" class="plain" aria-pressed={whole !== null} disabled={busy} onClick={onUnmask}>
          {whole ? words.hide : words.show}
        </button>
      )}
      <h3>{words.identities}</h3>
      {identities.length === 0 && <p class="quiet">{words.noIdentities}</p>}
      <ul class="rows">
        {identities.map((identity) => (
          <li key={identity.platform}>
            <strong>{words.clients[identity.platform] ?? identity.platform}</strong>
            <span class="quiet">{ids(identity)}</span>
          </li>
        ))}
      </ul>
      <h3>{words.sessions}</h3>
      {account.sessions.length === 0 && <p class="quiet">{words.noSessions}</p>}
      <ul class="rows">
        {account.sessions.map((session) => {
          const name = words.clients[session.client_type] ?? session.client_type;
          return (
            <li key={session.client_type}>
              <strong>{name}</strong>
              <button
                type="button"
                class="plain"
                disabled={busy}
                aria-label={`${words.endOne}: ${name}`}
                onClick={() => onOrder("revoke", session.client_type)}
              >
                {words.endOne}
              </button>
              <span class="quiet">
                {words.lastUsed} {moment(session.used_at, tag)} · {words.ends} {moment(session.ends_at, tag)}
              </span>
            </li>
          );
        })}
      </ul>
      {account.orders.length > 0 && (
        <div class="orders">
          {account.orders.map((order) => (
            <button
              key={order}
              type="button"
              class={order === "delete" ? "outline danger" : "outline"}
              disabled={busy}
              onClick={() => onOrder(order)}
            >
              {words.orders[order]}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

function ids({ app, openid, unionid }: Identity): string {
  return [app, openid && `openid ${openid}`, unionid && `unionid ${unionid}`].filter(Boolean).join(" · ");
}
