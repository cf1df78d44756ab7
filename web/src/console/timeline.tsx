import type { AuditEvent } from "./service.ts";
import type { AccountWords } from "./words/index.ts";

const REFUSED = ["refuse_send", "refuse_bind", "try"];

interface Properties {
  events: AuditEvent[];
  words: AccountWords;
  tag: string;
}

/** What happened to a number, newest first, and why it was refused. */
export function Timeline({ events, words, tag }: Properties) {
  if (events.length === 0) {
    return <p class="quiet">{words.noEvents}</p>;
  }
  return (
    <ol class="timeline">
      {events.toReversed().map((event, index) => (
        <li key={index} class={REFUSED.includes(event.action) ? "refused" : event.operator ? "deed" : ""}>
          <time dateTime={new Date(event.at).toISOString()}>{moment(event.at, tag)}</time>
          <p>
            <strong>{words.actions[event.action] ?? event.action}</strong>
            {event.times > 1 && ` × ${new Intl.NumberFormat(tag).format(event.times)}`}
            {/* A try of a code says by itself that it was wrong. */}
            {event.rule && event.rule !== "code_wrong" && `: ${words.reasons[event.rule] ?? event.reason}`}
            {event.until !== null && ` (${words.until} ${moment(event.until, tag)})`}
          </p>
          <p class="quiet">{about(event, words)}</p>
        </li>
      ))}
    </ol>
  );
}

/** Who, from where, about which account. */
function about(event: AuditEvent, words: AccountWords): string {
  const client = event.client_type && (words.clients[event.client_type] ?? event.client_type);
  const parts = [
    event.operator ? `${words.operator} ${event.operator}` : (client ?? words.service),
    event.address && `${words.address} ${event.address}`,
    event.account !== null && `${words.account} ${event.account}`,
    event.former && `${words.former} ${event.former}`,
    event.request && `${words.request} ${event.request}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** A point in time as the reader writes it, in the reader's time zone. */
export function moment(at: number, tag: string): string {
  return new Date(at).toLocaleString(tag, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
}
