import { useEffect, useRef, useState } from "preact/hooks";
import { Card } from "./card.tsx";
import { type Asked, Confirm } from "./confirm.tsx";
import { ask, type Fault, type LookedUp, Refused, type Whole } from "./service.ts";
import { Timeline } from "./timeline.tsx";
import type { Words } from "./words/index.ts";

interface Properties {
  token: string;
  words: Words;
  tag: string;
  onLeave: (why: Refused) => void;
}

/** Looks accounts up, and does to them what an operator may do. What is found is nowhere but in memory. */
export function Accounts({ token, words, tag, onLeave }: Properties) {
  const [typed, setTyped] = useState("");
  const [found, setFound] = useState<LookedUp | null>(null);
  const [whole, setWhole] = useState<Whole | null>(null);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState<{ text: string } | { fault: Fault } | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const result = useRef<HTMLHeadingElement>(null);
  const its = words.accounts;
  useEffect(() => field.current?.focus(), []);
  // To what was found; after an order too, since what was pressed may be gone.
  useEffect(() => result.current?.focus(), [found]);

  /** Answers nothing where there is no answer, and says why. */
  const put = async <Answer,>(path: string, body: unknown): Promise<Answer | null> => {
    setBusy(true);
    setTold(null);
    try {
      return await ask<Answer>(token, path, body);
    } catch (error) {
      const refused = error instanceof Refused ? error : new Refused("failed");
      if (refused.fault === "token_wrong") {
        onLeave(refused);
      }
      setTold({ fault: refused.fault });
      return null;
    } finally {
      setBusy(false);
    }
  };
  const lookUp = async (event: SubmitEvent) => {
    event.preventDefault();
    if (busy) {
      return;
    }
    setWhole(null);
    setFound(null);
    const answer = await put<LookedUp>("look-up", { name: typed });
    if (answer) {
      setFound(answer);
    } else {
      field.current?.focus();
    }
  };
  const unmask = async (account: number) => {
    const answer = await put<Whole>("unmask", { account });
    if (answer) {
      setWhole(answer);
      setTold({ text: its.shown });
    }
  };
  const order = async ({ account, order, clientType }: Asked) => {
    const body = { account, order, ...(clientType ? { client_type: clientType } : {}) };
    const answer = await put<LookedUp>("order", body);
    setAsked(null);
    if (answer) {
      setWhole(null);
      setFound(answer);
      setTold({ text: its.done[order] });
    }
  };

  const account = found?.account ?? null;
  return (
    <main class="accounts">
      <search class="panel">
        <form onSubmit={lookUp} noValidate>
          <label for="name">{its.name}</label>
          <div class="search">
            <input
              id="name"
              ref={field}
              type="search"
              inputMode="tel"
              autocomplete="off"
              spellcheck={false}
              value={typed}
              aria-invalid={told && "fault" in told && !found ? true : undefined}
              aria-describedby="told-of-accounts hint-of-accounts"
              onInput={({ currentTarget }) => setTyped(currentTarget.value)}
            />
            <button type="submit" aria-busy={busy && !found}>
              {its.look}
            </button>
          </div>
          {/* One place for both, so that nothing moves. */}
          <p id="hint-of-accounts" class="hint quiet" hidden={told !== null}>
            {its.hint}
          </p>
          <p id="told-of-accounts" role="status" class={`message ${told ? ("fault" in told ? "bad" : "good") : ""}`}>
            {told && ("fault" in told ? words.faults[told.fault] : told.text)}
          </p>
        </form>
      </search>
      {found && (
        <>
          <section class="panel" aria-labelledby="account">
            <h2 id="account" ref={result} tabIndex={-1}>
              {account ? `${its.account} ${account.id}` : its.nobody}{" "}
              {account && (
                <small class={`health ${account.status === "normal" ? "" : "bad"}`}>
                  {its.statuses[account.status] ?? account.status}
                </small>
              )}
            </h2>
            {account && (
              <Card
                account={account}
                whole={whole}
                words={its}
                tag={tag}
                busy={busy}
                onUnmask={() => (whole ? setWhole(null) : unmask(account.id))}
                onOrder={(order, clientType) => setAsked({ account: account.id, order, clientType })}
              />
            )}
          </section>
          <section class="panel" aria-labelledby="events">
            <h2 id="events">{its.events}</h2>
            {account && !account.mobile && found.events.length === 0 ? (
              <p class="quiet">{its.noNumber}</p>
            ) : (
              <Timeline events={found.events} words={its} tag={tag} />
            )}
          </section>
        </>
      )}
      {asked && (
        <Confirm asked={asked} words={its} busy={busy} onCancel={() => setAsked(null)} onConfirm={() => order(asked)} />
      )}
    </main>
  );
}
