import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "../page.css";

/** One message that the fake provider took. */
interface TextMessage {
  mobile: string;
  text: string;
  code: string;
  sent_at: string;
}

type Behaviour = "deliver" | "refuse" | "hang";

/** All that the service shows here, whenever it changes. */
interface Shown {
  now: string;
  messages: TextMessage[];
  behaviours: [string, Behaviour][];
}

const FATES: Record<Behaviour, string> = { deliver: "arrive", refuse: "are refused", hang: "hang" };
const STEPS: [string, number][] = [
  ["+ 1 min", 60],
  ["+ 10 min", 600],
  ["+ 1 hour", 3600],
  ["+ 1 day", 86_400],
];

async function post(path: string, body: unknown): Promise<{ code: number; msg: string; data: { now?: string } }> {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${path}?lang=en`, { method: "POST", headers, body: JSON.stringify(body) });
  return answer.json();
}

function Inbox() {
  const [shown, setShown] = useState<Shown>({ now: "", messages: [], behaviours: [] });
  const [live, setLive] = useState(false);
  const [search, setSearch] = useState("");

  useEffect(() => {
    const events = new EventSource("/dev/inbox/events");
    events.onmessage = ({ data }) => {
      setLive(true);
      setShown(JSON.parse(data));
    };
    // The browser connects again by itself.
    events.onerror = () => setLive(false);
    return () => events.close();
  }, []);

  const found = shown.messages.filter(({ mobile }) => mobile.includes(search.trim()));
  return (
    <div class="inbox">
      <header>
        <h1>Inbox</h1>
        <p class={`quiet live ${live ? "" : "lost"}`} role="status">
          {live ? "Live" : "Connecting…"}
        </p>
        <p class="quiet">
          The phones of development: nothing here was really sent. <a href="/">Bind a number</a>
        </p>
      </header>
      <main>
        <input
          type="search"
          aria-label="Search by number"
          placeholder="Search by number"
          inputMode="tel"
          value={search}
          onInput={({ currentTarget }) => setSearch(currentTarget.value)}
        />
        <ol aria-live="polite" aria-label="Messages, newest first">
          {found.map((message) => (
            <Received key={`${message.sent_at} ${message.mobile} ${message.code}`} message={message} />
          ))}
        </ol>
        {found.length === 0 && (
          <article>
            <p class="quiet">
              {search ? `Nothing was sent to a number with ${search}.` : "Nothing has been sent yet."}
            </p>
          </article>
        )}
      </main>
      <aside>
        <Provider behaviours={shown.behaviours} />
        <Clock now={shown.now} onMove={(now) => setShown((before) => ({ ...before, now }))} />
      </aside>
    </div>
  );
}

function Received({ message }: { message: TextMessage }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(message.code);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <li class="text-message">
      <p class="quiet">
        {message.mobile} · <time dateTime={message.sent_at}>{new Date(message.sent_at).toLocaleTimeString()}</time>
      </p>
      <p>{message.text}</p>
      {message.code && (
        <button type="button" class="outline" onClick={copy}>
          {message.code} <small aria-live="polite">{copied ? "Copied" : "Copy"}</small>
        </button>
      )}
    </li>
  );
}

function Provider({ behaviours }: { behaviours: [string, Behaviour][] }) {
  const [mobile, setMobile] = useState("");
  const [behaviour, setBehaviour] = useState<Behaviour>("refuse");
  return (
    <article>
      <h2>Provider</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          post("/dev/sms/behaviour", { mobile: mobile.trim(), behaviour });
        }}
      >
        <label>
          Messages to
          <input
            type="tel"
            required
            placeholder="17602128368"
            value={mobile}
            onInput={({ currentTarget }) => setMobile(currentTarget.value)}
          />
        </label>
        <div class="pair wide">
          <select
            aria-label="What becomes of them"
            value={behaviour}
            onChange={({ currentTarget }) => setBehaviour(currentTarget.value as Behaviour)}
          >
            {Object.entries(FATES).map(([name, fate]) => (
              <option key={name} value={name}>
                {fate}
              </option>
            ))}
          </select>
          <button type="submit">Set</button>
        </div>
      </form>
      <ul>
        {behaviours.map(([number, fate]) => (
          <li key={number}>
            <span>
              {number} {fate === "hang" ? "hangs" : "is refused"}
            </span>
            <button
              type="button"
              class="plain"
              aria-label={`Undo for ${number}`}
              onClick={() => post("/dev/sms/behaviour", { mobile: number, behaviour: "deliver" })}
            >
              Undo
            </button>
          </li>
        ))}
      </ul>
    </article>
  );
}

function Clock({ now, onMove }: { now: string; onMove: (now: string) => void }) {
  const move = async (seconds: number) => {
    const answer = await post("/dev/clock", { advance_s: seconds });
    if (answer.data.now) {
      onMove(answer.data.now);
    }
  };
  return (
    <article>
      <h2>Clock</h2>
      <p class="quiet" role="status">
        {now ? `The service's time: ${new Date(now).toLocaleString()}` : "…"}
      </p>
      <p class="quiet">Forward only, until it stops.</p>
      <div class="pair">
        {STEPS.map(([name, seconds]) => (
          <button type="button" class="secondary outline" key={name} onClick={() => move(seconds)}>
            {name}
          </button>
        ))}
      </div>
    </article>
  );
}

const root = document.getElementById("page");
if (root) {
  render(<Inbox />, root);
}
