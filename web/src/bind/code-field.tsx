import { useEffect, useRef } from "preact/hooks";

interface Properties {
  label: string;
  value: string;
  length: number;
  invalid: boolean;
  describedBy: string;
  onInput: (value: string) => void;
}

/** A code, as boxes: one real field under them, so that pasting, filling in from a message and screen readers just work. */
export function CodeField({ label, value, length, invalid, describedBy, onInput }: Properties) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <label>
      {label}
      <div class="boxes">
        <input
          ref={field}
          name="code"
          type="text"
          inputMode="numeric"
          autocomplete="one-time-code"
          pattern="[0-9]*"
          value={value}
          required
          aria-invalid={invalid}
          aria-describedby={describedBy}
          onInput={({ currentTarget }) => {
            const digits = currentTarget.value.replace(/\D/g, "").slice(0, length);
            currentTarget.value = digits;
            onInput(digits);
          }}
        />
        {Array.from({ length }, (_, index) => (
          <span key={index} aria-hidden="true" class={index === Math.min(value.length, length - 1) ? "next" : ""}>
            {value[index]}
          </span>
        ))}
      </div>
    </label>
  );
}
