import { Bar, type Line, Plot } from "./plot.tsx";
import { SPANS, STAGES, type Stage, type Step, steps, total } from "./series.ts";
import type { Mean, Overview, Provider, Span } from "./service.ts";
import type { Words } from "./words/index.ts";

/** What is refused, each in its colour. */
const OPERATIONS = [
  ["send", 5],
  ["bind", 6],
  ["log_in", 3],
] as const;

interface Properties {
  shown: Overview;
  span: Span;
  words: Words;
  tag: string;
}

/** How it goes: the funnel, refusals, providers and the service. */
export function Panels({ shown, span, words, tag }: Properties) {
  const numbers = new Intl.NumberFormat(tag);
  const count = (value: number) => numbers.format(value);
  const time = (at: number) =>
    new Date(at).toLocaleTimeString(tag, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const made = steps(shown.frames, span, shown.now);
  const sum = total(shown.frames, span, shown.now);
  const stages = STAGES.filter((stage) => stage !== "delivered" || shown.has_receipts);
  const drawn: Stage[] = stages.filter((stage) => stage !== "asked");
  const lines: Line[] = drawn.map((stage) => ({
    name: words.stages[stage],
    colour: STAGES.indexOf(stage),
    of: (step) => step[stage],
  }));
  const refusedIn = (operation: string) => (step: Step) =>
    Object.entries(step.refused).reduce((all, [rule, its]) => all + (rule.startsWith(operation) ? its : 0), 0);
  const refusals: Line[] = OPERATIONS.map(([operation, colour]) => ({
    name: words.operations[operation],
    colour,
    of: refusedIn(`${operation}:`),
  }));
  const plotted = { steps: made, from: shown.now - SPANS[span].length, until: shown.now, time, count, words };
  return (
    <main>
      <section class="panel" aria-labelledby="funnel">
        <h2 id="funnel">{words.funnel}</h2>
        <ul class="bars">
          {stages.map((stage) => (
            <Bar
              key={stage}
              name={words.stages[stage]}
              value={`${count(sum[stage])}${sum.asked > 0 ? ` · ${percent(sum[stage] / sum.asked, tag)}` : ""}`}
              share={sum.asked > 0 ? sum[stage] / sum.asked : 0}
              colour={STAGES.indexOf(stage)}
            />
          ))}
        </ul>
        {!shown.has_receipts && <p class="quiet">{words.noReceipts}</p>}
      </section>
      <section class="panel wide">
        <Plot title={words.overTime[span]} lines={lines} {...plotted} />
      </section>
      <section class="panel" aria-labelledby="refused">
        <h2 id="refused">{words.refused}</h2>
        <Refusals refused={sum.refused} words={words} count={count} />
      </section>
      <section class="panel wide">
        <Plot title={words.refusedOverTime[span]} lines={refusals} {...plotted} />
      </section>
      <section class="panel" aria-labelledby="service">
        <h2 id="service">{words.service}</h2>
        <State shown={shown} words={words} tag={tag} count={count} />
      </section>
      <section class="panel wide" aria-labelledby="providers">
        <h2 id="providers">{words.providers}</h2>
        {Object.keys(shown.providers).length === 0 && <p class="quiet">{words.noProviders}</p>}
        <div class="providers">
          {Object.entries(shown.providers).map(([name, provider]) => (
            <ProviderCard key={name} name={name} provider={provider} words={words} tag={tag} count={count} />
          ))}
        </div>
      </section>
    </main>
  );
}

type Count = (value: number) => string;

function Refusals({ refused, words, count }: { refused: Record<string, number>; words: Words; count: Count }) {
  const rules = Object.entries(refused).toSorted(([, left], [, right]) => right - left);
  const most = rules[0]?.[1] ?? 0;
  if (most === 0) {
    return <p class="quiet">{words.nothing}</p>;
  }
  return (
    <ul class="bars">
      {rules.map(([rule, its]) => {
        const [operation, colour] = OPERATIONS.find(([name]) => rule.startsWith(`${name}:`)) ?? OPERATIONS[1];
        const why = rule.slice(rule.indexOf(":") + 1);
        const name = `${words.operations[operation]}: ${words.rules[why] ?? why}`;
        return <Bar key={rule} name={name} value={count(its)} share={its / most} colour={colour} />;
      })}
    </ul>
  );
}

interface ProviderProperties {
  name: string;
  provider: Provider;
  words: Words;
  tag: string;
  count: Count;
}

function ProviderCard({ name, provider, words, tag, count }: ProviderProperties) {
  const all = Object.values(provider.outcomes).reduce((sum, its) => sum + its, 0);
  const most = Math.max(1, ...Object.values(provider.messages));
  const health = provider.health === 1 ? "good" : provider.health === 0 ? "bad" : "trial";
  return (
    <article>
      <h3>
        {name} {provider.health !== null && <small class={`health ${health}`}>{words.health[health]}</small>}
      </h3>
      <ul class="bars">
        {Object.entries(provider.outcomes).map(([outcome, its]) => (
          <Bar
            key={outcome}
            name={words.outcomes[outcome] ?? outcome}
            value={`${count(its)} · ${percent(its / all, tag)}`}
            share={its / all}
            colour={outcome === "accepted" ? 2 : 6}
          />
        ))}
        {Object.entries(provider.messages).map(([state, its]) => (
          <Bar
            key={`message ${state}`}
            name={`${words.message}: ${words.outcomes[state] ?? state}`}
            value={count(its)}
            share={its / most}
            colour={state === "failed" || state === "unknown" ? 6 : 2}
          />
        ))}
      </ul>
      <p class="quiet">
        {provider.seconds.count > 0 && `${words.takes} ${seconds(provider.seconds, tag)}`}
        {provider.delivery_seconds.count > 0 && ` · ${words.delivery} ${seconds(provider.delivery_seconds, tag)}`}
        {provider.cost > 0 && ` · ${words.cost} ${new Intl.NumberFormat(tag).format(provider.cost)}`}
      </p>
    </article>
  );
}

function State({ shown, words, tag, count }: { shown: Overview; words: Words; tag: string; count: Count }) {
  const { service } = shown;
  return (
    <>
      {service.trusts_openids && <p class="message bad">{words.trustsOpenids}</p>}
      <dl class="facts">
        <dt>{words.store}</dt>
        <dd>{service.store_ready ? words.ready : words.notReady}</dd>
        <dt>{words.memory}</dt>
        <dd>{bytes(service.memory_bytes, tag)}</dd>
        {service.disk_bytes !== null && (
          <>
            <dt>{words.disk}</dt>
            <dd>{bytes(service.disk_bytes, tag)}</dd>
          </>
        )}
        <dt>{words.inFlight}</dt>
        <dd>{count(service.in_flight)}</dd>
        <dt>{words.turnedAway}</dt>
        <dd>{count(service.turned_away)}</dd>
        {Object.entries(service.seconds).map(([route, mean]) => (
          <>
            <dt>{words.routes[route] ?? route}</dt>
            <dd>
              {seconds(mean, tag)} · {count(mean.count)}
            </dd>
          </>
        ))}
      </dl>
    </>
  );
}

function percent(share: number, tag: string): string {
  return new Intl.NumberFormat(tag, { style: "percent", maximumFractionDigits: 0 }).format(share);
}

function seconds({ sum, count }: Mean, tag: string): string {
  const mean = count > 0 ? (sum / count) * 1000 : 0;
  return `${new Intl.NumberFormat(tag, { maximumSignificantDigits: 2 }).format(mean)} ms`;
}

function bytes(value: number, tag: string): string {
  return `${new Intl.NumberFormat(tag, { maximumFractionDigits: 1 }).format(value / 2 ** 20)} MiB`;
}
