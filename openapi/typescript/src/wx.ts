import type { Transport } from "./transport.js";

/** What is used of the mini-program's `wx`, https://developers.weixin.qq.com/miniprogram/dev/api/network/request/wx.request.html. */
export interface Wx {
  request(options: {
    url: string;
    method: "POST";
    data: string;
    header: Record<string, string>;
    /** The text as it came: the client reads it itself. */
    dataType: "text";
    responseType: "text";
    success(answer: { data: unknown; header?: Record<string, unknown> }): void;
    fail(fault: { errMsg?: string }): void;
  }): { abort(): void } | undefined;
}

/** For WeChat's mini-programs (`wx`) and uni-app (`uni`), which have no `fetch`. */
export function wxTransport(wx: Wx): Transport {
  return ({ url, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const ended = () => signal.removeEventListener("abort", abort);
      const task = wx.request({
        url,
        method: "POST",
        data: body,
        header: headers,
        dataType: "text",
        responseType: "text",
        success(answer) {
          ended();
          const text = typeof answer.data === "string" ? answer.data : JSON.stringify(answer.data);
          resolve({ body: text, retryAfter: header(answer.header ?? {}, "retry-after") });
        },
        fail(fault) {
          ended();
          reject(new Error(fault.errMsg ?? "wx.request failed"));
        },
      });
      function abort() {
        task?.abort();
      }
      signal.addEventListener("abort", abort);
    });
}

/** A header, whatever the case of its name: platforms differ. */
function header(headers: Record<string, unknown>, name: string): string | null {
  const found = Object.keys(headers).find((key) => key.toLowerCase() === name);
  return found === undefined ? null : String(headers[found]);
}
