import { type ComponentChildren, render } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import "../page.css";
import "./docs.css";
import {
  type Document,
  examples,
  JSON_TYPE,
  kind,
  type Operation,
  type Parameter,
  resolved,
  type Schema,
} from "./document.ts";

function Explorer() {
  const [document, setDocument] = useState<Document | null>(null);
  const [failed, setFailed] = useState(false);
  const [token, setToken] = useState("");
  useEffect(() => {
    fetch("/openapi.json")
      .then((response) => response.json())
      .then(setDocument)
      .catch(() => setFailed(true));
  }, []);
  // What an address names is there only now.
  useEffect(() => {
    if (document && location.hash.length > 1) {
      globalThis.document.getElementById(location.hash.slice(1))?.scrollIntoView();
    }
  }, [document]);
  if (!document) {
    return (
      <main class="docs">
        <h1>API explorer</h1>
        <p role="status">{failed ? "The document cannot be read. Load the page again in a moment." : "…"}</p>
      </main>
    );
  }
  const operations = Object.entries(document.paths).map(([path, { post }]) => ({ path, operation: post }));
  return (
    <div class="docs">
      <header>
        <h1>
          {document.info.title} <small>{document.info.version}</small>
        </h1>
        <Prose text={document.info.description ?? ""} />
        <p>
          The document itself: <a href="/openapi.json">/openapi.json</a>, to generate clients from.
        </p>
      </header>
      <nav aria-label="Operations">
        <ul>
          {operations.map(({ path, operation }) => (
            <li key={path}>
              <a href={`#${operation.operationId}`}>{operation.summary}</a>
            </li>
          ))}
        </ul>
        <label>
          Session token
          <input
            type="text"
            autocomplete="off"
            spellcheck={false}
            placeholder="none"
            value={token}
            onInput={({ currentTarget }) => setToken(currentTarget.value)}
          />
        </label>
        <p class="quiet">Sent as Authorization. A bind that you try puts its token here.</p>
      </nav>
      <main>
        {operations.map(({ path, operation }) => (
          <Entry key={path} path={path} operation={operation} document={document} token={token} onToken={setToken} />
        ))}
      </main>
    </div>
  );
}

interface EntryProperties {
  path: string;
  operation: Operation;
  document: Document;
  token: string;
  onToken: (token: string) => void;
}

function Entry({ path, operation, document, token, onToken }: EntryProperties) {
  const body = resolved(operation.requestBody.content[JSON_TYPE]?.schema ?? {}, document);
  const success = operation.responses["200"]?.content[JSON_TYPE]?.schema.oneOf?.[0];
  const answer = success ? resolved(success, document) : {};
  const data = answer.properties?.["data"];
  return (
    <section id={operation.operationId} class="panel" aria-labelledby={`${operation.operationId}-heading`}>
      <h2 id={`${operation.operationId}-heading`}>{operation.summary}</h2>
      <p class="address">
        <b>POST</b> <code>{path}</code>
      </p>
      <Prose text={operation.description} />
      <Trial path={path} operation={operation} body={body} token={token} onToken={onToken} />
      <Examples operation={operation} />
      <Properties of={operation} title="What it takes" schema={body} document={document} />
      {data && (
        <Properties of={operation} title="What it answers" schema={resolved(data, document)} document={document} />
      )}
    </section>
  );
}

interface Outcome {
  status: string;
  headers: string[];
  text: string;
}

interface TrialProperties {
  path: string;
  operation: Operation;
  body: Schema;
  token: string;
  onToken: (token: string) => void;
}

/** A request to the service itself, made up here. */
function Trial({ path, operation, body, token, onToken }: TrialProperties) {
  const parameters = operation.parameters.filter(({ name }) => name !== "token");
  const [values, setValues] = useState<Record<string, string>>({});
  const [text, setText] = useState(() => JSON.stringify(body.example ?? {}, null, 2));
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "")).toString();
  const url = query ? `${path}?${query}` : path;

  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    const headers: Record<string, string> = { "Content-Type": JSON_TYPE };
    if (token) {
      headers["Authorization"] = `Bearer ${token}`;
    }
    try {
      const response = await fetch(url, { method: "POST", headers, body: text, credentials: "omit" });
      const came = await response.text();
      const told = ["x-request-id", "retry-after"].map((name) => [name, response.headers.get(name)] as const);
      setOutcome({
        status: `HTTP ${response.status}`,
        headers: told.flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`])),
        text: indented(came),
      });
      const given = JSON.parse(came).data?.token;
      if (typeof given === "string" && given !== "") {
        onToken(given);
      }
    } catch (error) {
      setOutcome((before) => before ?? { status: "No answer", headers: [], text: String(error) });
    }
    setBusy(false);
  };

  return (
    <details>
      <summary>Try it</summary>
      <form onSubmit={send}>
        <div class="fields">
          {parameters.map((parameter) => (
            <Field
              key={parameter.name}
              parameter={parameter}
              value={values[parameter.name] ?? ""}
              onInput={(value) => setValues((before) => ({ ...before, [parameter.name]: value }))}
            />
          ))}
        </div>
        <label>
          Body, as JSON
          <textarea
            rows={Math.min(16, text.split("\n").length)}
            spellcheck={false}
            value={text}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
        </label>
        <button type="submit" aria-busy={busy}>
          Send
        </button>
      </form>
      <div role="status">
        {outcome && (
          <>
            <p class="address">
              <b>{outcome.status}</b> {outcome.headers.join(" · ")}
            </p>
            <Code label={`The answer to ${operation.operationId}`} text={outcome.text} />
          </>
        )}
      </div>
      <details>
        <summary>As curl</summary>
        <Code label={`${operation.operationId} as curl`} text={curl(location.origin + url, text, token)} />
      </details>
    </details>
  );
}

interface FieldProperties {
  parameter: Parameter;
  value: string;
  onInput: (value: string) => void;
}

function Field({ parameter: { name, description, schema }, value, onInput }: FieldProperties) {
  const id = useId();
  return (
    <label htmlFor={id} title={description}>
      {name}
      {schema.enum ? (
        <select id={id} value={value} onChange={({ currentTarget }) => onInput(currentTarget.value)}>
          <option value="">{schema.default ?? "not sent"}</option>
          {schema.enum
            .filter((choice) => choice !== schema.default)
            .map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
        </select>
      ) : (
        <input
          id={id}
          type="text"
          autocomplete="off"
          spellcheck={false}
          value={value}
          onInput={({ currentTarget }) => onInput(currentTarget.value)}
        />
      )}
    </label>
  );
}

function Examples({ operation }: { operation: Operation }) {
  const all = examples(operation);
  const [chosen, setChosen] = useState(0);
  const shown = all[chosen];
  return (
    <details open>
      <summary>Answers, an example of each</summary>
      <select
        aria-label={`Example answers of ${operation.operationId}`}
        value={chosen}
        onChange={({ currentTarget }) => setChosen(Number(currentTarget.value))}
      >
        {all.map(({ status, summary }, index) => (
          <option key={`${status} ${summary}`} value={index}>
            {status === "200" ? summary : `HTTP ${status}, ${summary}`}
          </option>
        ))}
      </select>
      {shown && <Code label={`Example of ${operation.operationId}`} text={JSON.stringify(shown.value, null, 2)} />}
    </details>
  );
}

interface PropertiesProperties {
  of: Operation;
  title: string;
  schema: Schema;
  document: Document;
}

function Properties({ of, title, schema, document }: PropertiesProperties) {
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0) {
    return null;
  }
  return (
    <details>
      <summary>{title}</summary>
      <Scrolling label={`${of.operationId}: ${title}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">What</th>
            </tr>
          </thead>
          <tbody>
            {properties.map(([name, property]) => (
              <tr key={name}>
                <th scope="row">
                  <code>{name}</code>
                  {schema.required?.includes(name) && <small> required</small>}
                </th>
                <td>
                  <Prose text={resolved(property, document).description ?? ""} />
                  <small>{kind(property, document)}</small>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolling>
    </details>
  );
}

/** What may be wider than the screen, and can be reached by keyboard then. */
function Scrolling({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    <section class="scrolling" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}

function Code({ label, text }: { label: string; text: string }) {
  return (
    <Scrolling label={label}>
      <pre>
        <code>{text}</code>
      </pre>
    </Scrolling>
  );
}

/** Paragraphs, with what stands between backticks as code. */
function Prose({ text }: { text: string }) {
  return (
    <>
      {text.split(/\n\s*\n/).map((paragraph) => (
        <p key={paragraph}>
          {paragraph.split("`").map((part, index) => (index % 2 === 1 ? <code key={part}>{part}</code> : part))}
        </p>
      ))}
    </>
  );
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function curl(url: string, body: string, token: string): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const lines = [`curl ${quoted(url)}`, `-H 'Content-Type: ${JSON_TYPE}'`];
  if (token) {
    lines.push(`-H ${quoted(`Authorization: Bearer ${token}`)}`);
  }
  return [...lines, `-d ${quoted(body)}`].join(" \\\n  ");
}

const root = document.getElementById("page");
if (root) {
  render(<Explorer />, root);
}
