import type { Frame, Funnel, Span } from "./service.ts";

/** How long a span is, and how long one of its steps in a plot, in milliseconds. */
export const SPANS: Record<Span, { length: number; step: number }> = {
  hour: { length: 3_600_000, step: 60_000 },
  day: { length: 86_400_000, step: 600_000 },
};

export const STAGES = ["asked", "sent", "delivered", "verified", "bound"] as const;
export type Stage = (typeof STAGES)[number];

/** One step of a plot. */
export interface Step extends Funnel {
  /** When it began, in milliseconds since the Unix epoch. */
  from: number;
}

const nothing = (): Funnel => ({ asked: 0, sent: 0, delivered: 0, verified: 0, bound: 0, refused: {} });

function add(sum: Funnel, frame: Funnel): void {
  for (const stage of STAGES) {
    sum[stage] += frame[stage];
  }
  for (const [rule, count] of Object.entries(frame.refused)) {
    sum.refused[rule] = (sum.refused[rule] ?? 0) + count;
  }
}

/** All frames of a span that ends now, together. */
export function total(frames: Frame[], span: Span, now: number): Funnel {
  const sum = nothing();
  for (const frame of frames) {
    if (frame.at > now - SPANS[span].length) {
      add(sum, frame);
    }
  }
  return sum;
}

/** The frames in equal steps, from the first that is known until now; a step without a frame is one in which nothing happened. */
export function steps(frames: Frame[], span: Span, now: number): Step[] {
  const { length, step } = SPANS[span];
  const known = frames.filter(({ at }) => at > now - length && at <= now);
  const first = known[0];
  if (first === undefined) {
    return [];
  }
  const begin = (at: number) => Math.floor(at / step) * step;
  const made = new Map<number, Step>();
  for (let from = begin(first.at); from <= now; from += step) {
    made.set(from, { from, ...nothing() });
  }
  for (const frame of known) {
    const into = made.get(begin(frame.at));
    if (into) {
      add(into, frame);
    }
  }
  return [...made.values()];
}

/** Where an axis has its lines: from 0, whole and round, to at least the greatest. */
export function ticks(greatest: number): number[] {
  const rough = Math.max(1, greatest) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const apart = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power);
  const count = Math.max(1, Math.ceil(greatest / apart));
  return Array.from({ length: count + 1 }, (_, index) => index * apart);
}
