import { createClient, type Failure, keptUuid, type User } from "mobile-bind-client";
import { render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import "../page.css";
import { type Language, languages, preferred, remember, TAGS } from "../language.ts";
import { Captcha, isKnown, type Wanted } from "./captcha.tsx";
import { CodeField } from "./code-field.tsx";
import { useCountdown } from "./countdown.ts";
import { WORDS, type Words } from "./words.ts";

/** What the service is set to, as it writes it into the page. */
const { codeLength, sendInterval, inbox } = document.documentElement.dataset;
/** Digits of a code. */
const CODE_LENGTH = Number(codeLength ?? 4);
/** How long a number rests after a send, in seconds. */
const RESEND_AFTER = Number(sendInterval ?? 60);
/** Whether messages are only pretended, and shown. */
const HAS_INBOX = inbox !== undefined;
const TOKEN = "mobile-bind.token";

type Step = "number" | "code" | "bound";
/** A fault, unless it is something else. */
type Message = { text: string; tone?: "good" | "plain" } | null;

function Page() {
  const [language, setLanguage] = useState<Language>(preferred);
  const words = WORDS[language];
  useEffect(() => {
    document.documentElement.lang = TAGS[language];
    document.title = words.title;
  }, [language, words]);
  const choose = (chosen: Language) => {
    remember(chosen);
    setLanguage(chosen);
  };
  return (
    <div class="card-page">
      <header>
        <select
          aria-label={words.language}
          value={language}
          onChange={(event) => choose(event.currentTarget.value as Language)}
        >
          {languages.map(([tag, name]) => (
            <option key={tag} value={tag} lang={TAGS[tag]}>
              {name}
            </option>
          ))}
        </select>
      </header>
      <main>
        <Binding words={words} language={language} />
      </main>
      {HAS_INBOX && (
        <footer>
          {words.development} <a href="/dev/inbox">{words.inbox}</a> · <a href="/docs">{words.explorer}</a>
        </footer>
      )}
    </div>
  );
}

function Binding({ words, language }: { words: Words; language: Language }) {
  const spoken = useRef(language);
  spoken.current = language;
  const client = useMemo(
    () =>
      createClient({
        baseUrl: "",
        clientType: "h5",
        uuid: keptUuid(localStorage),
        token: () => localStorage.getItem(TOKEN),
        language: () => spoken.current,
      }),
    [],
  );
  const [step, setStep] = useState<Step>("number");
  const [user, setUser] = useState<User | null>(null);
  const [mobile, setMobile] = useState("");
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [message, setMessage] = useState<Message>(null);
  const [wanted, setWanted] = useState<Wanted | null>(null);
  const [solved, setSolved] = useState("");
  const [left, countDown] = useCountdown();
  const heading = useRef<HTMLHeadingElement>(null);
  const field = useRef<HTMLInputElement>(null);

  // Whoever is logged in sees his number at once.
  useEffect(() => {
    if (localStorage.getItem(TOKEN)) {
      client.currentUser().then((result) => {
        if (result.ok) {
          setUser(result.user);
          setStep("bound");
        } else if (typeof result.code === "number") {
          localStorage.removeItem(TOKEN);
        }
      });
    }
  }, [client]);

  // Words of the service are in the language that it was asked in.
  useEffect(() => {
    setMessage(null);
    setSolved("");
  }, [language]);

  const go = (next: Step) => {
    setStep(next);
    setMessage(null);
    setCode("");
    setSolved("");
    setWanted(null);
    if (next === "bound") {
      // After it is drawn: a screen reader then reads what has come.
      requestAnimationFrame(() => heading.current?.focus());
    } else if (next === "number") {
      requestAnimationFrame(() => field.current?.focus());
    }
  };

  const refuse = (failure: Failure) => {
    if (failure.captcha && isKnown(failure.captcha)) {
      setWanted(failure.captcha);
      setMessage({ text: failure.message, tone: "plain" });
      return;
    }
    const text = typeof failure.code === "number" ? failure.message : words.faults[failure.code];
    setMessage({ text });
    if (failure.retryAfter !== null && step === "code") {
      countDown(failure.retryAfter);
    }
  };

  const send = async () => {
    if (wanted && !solved) {
      setMessage({ text: words.captchaWanted, tone: "plain" });
      return;
    }
    setBusy(true);
    setMessage(null);
    const result = await client.sendCode(mobile.trim(), solved ? { captcha: solved } : {});
    setBusy(false);
    // What a widget gave is good once, and it makes no second.
    setSolved("");
    setWanted(null);
    if (!result.ok) {
      refuse(result);
      return;
    }
    countDown(RESEND_AFTER);
    go("code");
    setMessage({ text: words.sent, tone: "good" });
  };

  const bind = async () => {
    setBusy(true);
    setMessage(null);
    const result = await client.bind(mobile.trim(), code);
    setBusy(false);
    if (result.ok) {
      localStorage.setItem(TOKEN, result.user.token);
      setUser(result.user);
      go("bound");
    } else {
      refuse(result);
    }
  };

  const logOut = async () => {
    await client.logOut();
    localStorage.removeItem(TOKEN);
    setUser(null);
    setMobile("");
    go("number");
  };

  const submit = (action: () => Promise<void>) => (event: SubmitEvent) => {
    event.preventDefault();
    if (!busy) {
      action();
    }
  };
  const bad = message !== null && !message.tone;
  const told = (
    <p id="told" role={bad ? "alert" : "status"} class={`message ${message ? (message.tone ?? "bad") : ""}`}>
      {message?.text}
    </p>
  );

  const captcha = wanted && (
    <Captcha
      wanted={wanted}
      label={words.captcha}
      language={language}
      onToken={(token) => {
        setSolved(token);
        setMessage(token ? { text: words.captchaSolved, tone: "good" } : { text: words.captchaWanted, tone: "plain" });
      }}
      onFailure={() => {
        // The next send asks without one, and the service says what is left to do.
        setWanted(null);
        setMessage({ text: words.captchaAway });
      }}
    />
  );

  if (step === "bound" && user) {
    return (
      <article class="card">
        <div class="person">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <circle cx="12" cy="12" r="11" fill="currentColor" opacity=".16" />
            <path
              d="m7 12.5 3.4 3.4L17.2 9"
              fill="none"
              stroke="currentColor"
              stroke-width="2"
              stroke-linecap="round"
            />
          </svg>
          <div>
            <h1 ref={heading} tabIndex={-1}>
              {words.bound}
            </h1>
            <p>{user.user_name_view === user.mobile_security ? "" : user.user_name_view}</p>
          </div>
        </div>
        <dl class="facts">
          <dt>{words.account}</dt>
          <dd>{user.mobile_security}</dd>
          <dt>{words.member}</dt>
          <dd>{user.number_code}</dd>
        </dl>
        <button
          type="button"
          class="secondary outline"
          onClick={() => {
            setMobile("");
            go("number");
          }}
        >
          {words.changeNumber}
        </button>
        <div class="row">
          <button type="button" onClick={logOut}>
            {words.logOut}
          </button>
        </div>
      </article>
    );
  }

  if (step === "code") {
    return (
      <article class="card">
        <h1>{words.codeTitle}</h1>
        <p class="lead">{words.codeSent(mobile.trim())}</p>
        <form onSubmit={submit(bind)} noValidate>
          <CodeField
            label={words.code}
            value={code}
            length={CODE_LENGTH}
            invalid={bad}
            describedBy="told"
            onInput={setCode}
          />
          {told}
          <button type="submit" aria-busy={busy} disabled={code.length < CODE_LENGTH}>
            {busy ? words.binding : words.bind}
          </button>
        </form>
        {captcha}
        <div class="row">
          <button type="button" disabled={left > 0 || busy} onClick={send}>
            {left > 0 ? words.resendIn(left) : words.resend}
          </button>
          <button type="button" onClick={() => go("number")}>
            {words.otherNumber}
          </button>
        </div>
      </article>
    );
  }

  return (
    <article class="card">
      <h1>{words.title}</h1>
      <p class="lead">{user ? words.changeLead : words.lead}</p>
      <form onSubmit={submit(send)} noValidate>
        <label htmlFor="mobile">{words.mobile}</label>
        <div class="prefixed">
          <span aria-hidden="true">+86</span>
          <input
            ref={field}
            id="mobile"
            name="mobile"
            type="tel"
            inputMode="tel"
            autocomplete="tel-national"
            maxLength={20}
            required
            value={mobile}
            aria-invalid={bad || undefined}
            aria-describedby="told"
            onInput={({ currentTarget }) => setMobile(currentTarget.value)}
          />
        </div>
        {captcha}
        {told}
        <button type="submit" aria-busy={busy}>
          {busy ? words.sending : words.send}
        </button>
      </form>
      {user && (
        <div class="row">
          <button type="button" onClick={() => go("bound")}>
            {words.keep}
          </button>
        </div>
      )}
    </article>
  );
}

const root = document.getElementById("page");
if (root) {
  render(<Page />, root);
}
