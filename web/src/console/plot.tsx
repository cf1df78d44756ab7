import { useEffect, useRef, useState } from "preact/hooks";
import { type Step, ticks } from "./series.ts";

/** One line of a plot. */
export interface Line {
  name: string;
  /** Which of the page's colours. */
  colour: number;
  of: (step: Step) => number;
}

interface Properties {
  title: string;
  steps: Step[];
  lines: Line[];
  /** What is drawn, in milliseconds since the Unix epoch. */
  from: number;
  until: number;
  time: (at: number) => string;
  count: (value: number) => string;
  words: { table: string; time: string; nothing: string };
}

const HEIGHT = 220;
const LEFT = 44;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 26;

/** Counts over time, as lines; the same as a table for whoever cannot see them. */
export function Plot({ title, steps, lines, from, until, time, count, words }: Properties) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  const [pointed, setPointed] = useState<number | null>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) {
      return undefined;
    }
    const observer = new ResizeObserver(() => setWidth(Math.max(240, element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const levels = ticks(Math.max(0, ...steps.flatMap((step) => lines.map(({ of }) => of(step)))));
  const top = levels[levels.length - 1] ?? 1;
  const x = (at: number) => LEFT + ((at - from) / (until - from)) * (width - LEFT - RIGHT);
  const y = (value: number) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const marks = width < 420 ? 3 : 6;
  const times = Array.from({ length: marks + 1 }, (_, index) => from + ((until - from) * index) / marks);
  const chosen = pointed === null ? undefined : steps[pointed];

  const point = (event: PointerEvent) => {
    const at = from + ((event.offsetX - LEFT) / (width - LEFT - RIGHT)) * (until - from);
    const distances = steps.map((step) => Math.abs(step.from - at));
    const nearest = distances.indexOf(Math.min(...distances));
    setPointed(nearest < 0 ? null : nearest);
  };

  return (
    <figure class="plot">
      <figcaption>
        <h2>{title}</h2>
        <ul class="legend">
          {lines.map(({ name, colour }) => (
            <li key={name} class={`series-${colour}`}>
              {name}
            </li>
          ))}
        </ul>
      </figcaption>
      <div class="canvas" ref={box}>
        <svg
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={title}
          onPointerMove={point}
          onPointerLeave={() => setPointed(null)}
        >
          {levels.map((level) => (
            <g key={level} class="level">
              <line x1={LEFT} x2={width - RIGHT} y1={y(level)} y2={y(level)} />
              <text x={LEFT - 8} y={y(level)} text-anchor="end" dominant-baseline="middle">
                {count(level)}
              </text>
            </g>
          ))}
          {times.map((at, index) => (
            <text
              key={at}
              class="time"
              x={x(at)}
              y={HEIGHT - 6}
              text-anchor={index === 0 ? "start" : index === marks ? "end" : "middle"}
            >
              {time(at)}
            </text>
          ))}
          {chosen && <line class="chosen" x1={x(chosen.from)} x2={x(chosen.from)} y1={TOP} y2={HEIGHT - BOTTOM} />}
          {lines.map(({ name, colour, of }) => (
            <g key={name} class={`series-${colour}`}>
              <polyline points={steps.map((step) => `${x(step.from)},${y(of(step))}`).join(" ")} />
              {(steps.length === 1 ? steps : chosen ? [chosen] : []).map((step) => (
                <circle key={step.from} cx={x(step.from)} cy={y(of(step))} r="3.5" />
              ))}
            </g>
          ))}
        </svg>
        {steps.length === 0 && <p class="nothing">{words.nothing}</p>}
        {chosen && (
          <div class="reading" style={{ left: `${Math.min(Math.max(x(chosen.from), 90), width - 90)}px` }}>
            <strong>{time(chosen.from)}</strong>
            {lines.map(({ name, colour, of }) => (
              <span key={name} class={`series-${colour}`}>
                {name} <b>{count(of(chosen))}</b>
              </span>
            ))}
          </div>
        )}
      </div>
      <details>
        <summary>{words.table}</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
        <section class="scrolling" aria-label={title} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">{words.time}</th>
                {lines.map(({ name }) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {steps.toReversed().map((step) => (
                <tr key={step.from}>
                  <th scope="row">{time(step.from)}</th>
                  {lines.map(({ name, of }) => (
                    <td key={name}>{count(of(step))}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </details>
    </figure>
  );
}

/** A bar as long as its share, with what it stands for beside it. */
export function Bar({ name, value, share, colour }: { name: string; value: string; share: number; colour: number }) {
  return (
    <li class={`bar series-${colour}`}>
      <span class="name">{name}</span>
      <span class="value">{value}</span>
      <svg height="8" width="100%" aria-hidden="true">
        <rect class="track" width="100%" height="8" rx="4" />
        <rect class="filled" width={`${Math.min(100, Math.max(share > 0 ? 1 : 0, share * 100))}%`} height="8" rx="4" />
      </svg>
    </li>
  );
}
