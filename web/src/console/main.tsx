import { render } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import "../page.css";
import "./console.css";
import "./accounts.css";
import { type Language, languages, preferred, remember, TAGS } from "../language.ts";
import { Accounts } from "./accounts.tsx";
import { Panels } from "./overview.tsx";
import { ask, type Overview, Refused, type Span } from "./service.ts";
import { type View, WORDS, type Words } from "./words/index.ts";

/** Kept for this tab alone, and gone with it. */
const TOKEN = "mobile-bind.console";
/** How often the service is asked, in milliseconds. */
const EVERY = 5_000;

function Console() {
  const [language, setLanguage] = useState<Language>(preferred);
  const [token, setToken] = useState(() => sessionStorage.getItem(TOKEN) ?? "");
  const [fault, setFault] = useState<Refused | null>(null);
  const words = WORDS[language];
  useEffect(() => {
    document.documentElement.lang = TAGS[language];
    document.title = `${words.title} · mobile-bind`;
  }, [language, words]);

  const leave = useCallback((why: Refused | null) => {
    sessionStorage.removeItem(TOKEN);
    setToken("");
    setFault(why);
  }, []);
  const choose = (chosen: Language) => {
    remember(chosen);
    setLanguage(chosen);
  };
  const enter = async (typed: string) => {
    try {
      await ask<Overview>(typed, "overview");
      sessionStorage.setItem(TOKEN, typed);
      setFault(null);
      setToken(typed);
    } catch (error) {
      setFault(error instanceof Refused ? error : new Refused("failed"));
    }
  };

  const picker = (
    <select
      class="quiet-select"
      aria-label={words.language}
      value={language}
      onChange={({ currentTarget }) => choose(currentTarget.value as Language)}
    >
      {languages.map(([tag, name]) => (
        <option key={tag} value={tag} lang={TAGS[tag]}>
          {name}
        </option>
      ))}
    </select>
  );
  return token ? (
    <Board token={token} words={words} tag={TAGS[language]} picker={picker} onLeave={leave} />
  ) : (
    <SignIn words={words} fault={fault} picker={picker} onEnter={enter} />
  );
}

interface SignInProperties {
  words: Words;
  fault: Refused | null;
  picker: preact.JSX.Element;
  onEnter: (token: string) => Promise<void>;
}

function SignIn({ words, fault, picker, onEnter }: SignInProperties) {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (token.trim() && !busy) {
      setBusy(true);
      await onEnter(token.trim());
      setBusy(false);
    }
  };
  return (
    <div class="card-page">
      <header>{picker}</header>
      <main>
        <article class="card">
          <h1>{words.title}</h1>
          <p class="lead">{words.signInLead}</p>
          <form onSubmit={submit} noValidate>
            <label>
              {words.token}
              <input
                type="password"
                name="token"
                autocomplete="off"
                spellcheck={false}
                required
                value={token}
                aria-invalid={fault ? true : undefined}
                aria-describedby="told"
                onInput={({ currentTarget }) => setToken(currentTarget.value)}
              />
            </label>
            <p id="told" role="alert" class={`message ${fault ? "bad" : ""}`}>
              {fault && words.faults[fault.fault]}
            </p>
            <button type="submit" aria-busy={busy}>
              {words.signIn}
            </button>
          </form>
        </article>
      </main>
    </div>
  );
}

interface BoardProperties {
  token: string;
  words: Words;
  tag: string;
  picker: preact.JSX.Element;
  onLeave: (why: Refused | null) => void;
}

const VIEWS: View[] = ["overview", "accounts"];

/** What the address names; it says nothing of what is looked up there. */
function named(): View {
  return VIEWS.find((view) => location.hash === `#${view}`) ?? "overview";
}

function Board({ token, words, tag, picker, onLeave }: BoardProperties) {
  const [view, setView] = useState(named);
  const [span, setSpan] = useState<Span>("hour");
  const [shown, setShown] = useState<Overview | null>(null);
  const [live, setLive] = useState(true);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  useEffect(() => {
    const follow = () => setView(named());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  useEffect(() => {
    let over = false;
    const look = async () => {
      if (document.hidden) {
        return;
      }
      try {
        const overview = await ask<Overview>(token, `overview?span=${span}`);
        if (!over) {
          setShown(overview);
          setLive(true);
        }
      } catch (error) {
        if (over) {
          return;
        }
        if (error instanceof Refused && error.fault === "token_wrong") {
          onLeave(error);
        } else {
          setLive(false);
        }
      }
    };
    look();
    const timer = setInterval(look, EVERY);
    document.addEventListener("visibilitychange", look);
    return () => {
      over = true;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [token, span, onLeave]);

  return (
    <div class="console">
      <header>
        <h1 ref={heading} tabIndex={-1}>
          {words.title}
        </h1>
        <p class={`quiet live ${live ? "" : "lost"}`} role="status">
          {live ? words.live : words.lost}
        </p>
        <div class="spacer" />
        {view === "overview" && (
          <fieldset class="switch">
            <legend class="unseen">{words.span}</legend>
            {(["hour", "day"] as const).map((name) => (
              <label key={name} class={span === name ? "on" : ""}>
                <input type="radio" name="span" checked={span === name} onChange={() => setSpan(name)} />
                {words.spans[name]}
              </label>
            ))}
          </fieldset>
        )}
        {picker}
        <p class="quiet">
          {shown?.operator}{" "}
          <button type="button" class="plain" onClick={() => onLeave(null)}>
            {words.signOut}
          </button>
        </p>
        <nav class="views" aria-label={words.title}>
          {VIEWS.map((name) => (
            <a key={name} href={`#${name}`} aria-current={view === name ? "page" : undefined}>
              {words.views[name]}
            </a>
          ))}
        </nav>
      </header>
      {view === "accounts" && <Accounts token={token} words={words} tag={tag} onLeave={onLeave} />}
      {view === "overview" && shown && <Panels shown={shown} span={span} words={words} tag={tag} />}
    </div>
  );
}

const root = document.getElementById("page");
if (root) {
  render(<Console />, root);
}
