import { useEffect, useState } from "preact/hooks";

/** Seconds that are left, counted down; and how to start anew. */
export function useCountdown(): [number, (seconds: number) => void] {
  const [until, setUntil] = useState(0);
  const [now, setNow] = useState(() => Date.now());
  const left = Math.max(0, Math.ceil((until - now) / 1000));
  useEffect(() => {
    if (left > 0) {
      const timer = setInterval(() => setNow(Date.now()), 250);
      return () => clearInterval(timer);
    }
    return undefined;
  }, [left > 0]);
  const start = (seconds: number) => {
    setNow(Date.now());
    setUntil(Date.now() + seconds * 1000);
  };
  return [left, start];
}
