import { useLayoutEffect, useRef } from "preact/hooks";
import type { OrderName } from "./service.ts";
import type { AccountWords } from "./words/index.ts";

/** What is to be done, once it is confirmed. */
export interface Asked {
  account: number;
  order: OrderName;
  /** Whose session is to end, where it is not all of them. */
  clientType?: string | undefined;
}

interface Properties {
  asked: Asked;
  words: AccountWords;
  busy: boolean;
  onCancel: () => void;
  onConfirm: () => void;
}

/**
 * Says what an order does, and asks whether it is meant. The browser keeps the focus within and gives it back at the end.
 *
 * It closes when it is taken away, and not before: the browser tells of a closed dialog a moment after it gave the focus
 * back, and what was pressed in that moment would be cancelled too.
 */
export function Confirm({ asked, words, busy, onCancel, onConfirm }: Properties) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const opened = dialog.current;
    opened?.showModal();
    return () => opened?.close();
  }, []);
  const { account, order, clientType } = asked;
  const title = clientType ? `${words.endOne}: ${words.clients[clientType] ?? clientType}` : words.orders[order];
  return (
    <dialog ref={dialog} aria-labelledby="order" aria-describedby="effect" onCancel={onCancel}>
      <article>
        <h2 id="order">{title}</h2>
        <p class="quiet">
          {words.account} {account}
        </p>
        <p id="effect">{words.asks[order]}</p>
        <footer>
          {/* The first that has the focus, so that Enter alone does nothing. */}
          <button type="button" class="outline" onClick={onCancel}>
            {words.cancel}
          </button>
          <button
            type="button"
            class={order === "delete" ? "danger" : ""}
            aria-busy={busy}
            onClick={() => !busy && onConfirm()}
          >
            {title}
          </button>
        </footer>
      </article>
    </dialog>
  );
}
