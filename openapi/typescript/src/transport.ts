/** How one request reaches the service. The client needs no more of its platform than this. */
export type Transport = (request: TransportRequest) => Promise<TransportAnswer>;

/** One POST of JSON. */
export interface TransportRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
  /** Ends the request when it is aborted: by the caller, or because time is up. */
  signal: AbortSignalLike;
}

/** What came back, whatever it says. */
export interface TransportAnswer {
  /** The body, as text. */
  body: string;
  /** The header `Retry-After`, where there is one. */
  retryAfter: string | null;
}

/** What a transport needs of an `AbortSignal`: mini-programs have none of their own. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** For browsers and Node: the `fetch` of the platform, or one that is given. */
export function fetchTransport(fetchFunction: typeof fetch = globalThis.fetch): Transport {
  return async ({ url, headers, body, signal }) => {
    const controller = new AbortController();
    const abort = () => controller.abort();
    signal.addEventListener("abort", abort);
    try {
      const init = { method: "POST", headers, body, signal: controller.signal, credentials: "omit" } as const;
      const response = await fetchFunction(url, init);
      return { body: await response.text(), retryAfter: response.headers.get("retry-after") };
    } finally {
      signal.removeEventListener("abort", abort);
    }
  };
}
