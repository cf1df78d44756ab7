import { useEffect, useRef } from "preact/hooks";
import type { Language } from "../language.ts";

/** Which captcha is wanted: what a refusal says. */
export interface Wanted {
  provider: string;
  site_key: string;
}

/** What Turnstile and hCaptcha have in common. */
interface WidgetApi {
  render(container: HTMLElement, options: Record<string, unknown>): string;
  remove(widget: string): void;
}

interface Vendor {
  script: string;
  api(): WidgetApi | undefined;
  /** The name of the option that says the language, as the script or the widget takes it. */
  language: "language" | "hl";
}

const scope = globalThis as unknown as Record<string, WidgetApi | undefined>;

/**
 * https://developers.cloudflare.com/turnstile/get-started/client-side-rendering/, https://docs.hcaptcha.com/configuration: both
 * make no widget by themselves with `render=explicit`.
 */
const VENDORS: Record<string, Vendor> = {
  turnstile: {
    script: "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit",
    api: () => scope["turnstile"],
    language: "language",
  },
  hcaptcha: {
    script: "https://js.hcaptcha.com/1/api.js?render=explicit&recaptchacompat=off",
    api: () => scope["hcaptcha"],
    language: "hl",
  },
};

/** Whether a widget of that provider can be shown here. */
export function isKnown(wanted: Wanted): boolean {
  return wanted.provider in VENDORS;
}

/** What both know the languages by. */
const LANGUAGES: Record<Language, string> = { zh: "zh-CN", en: "en", cht: "zh-TW", spa: "es" };

const loading = new Map<string, Promise<void>>();

/** Loads a script once; after a failure the next call tries again. */
function load(url: string): Promise<void> {
  const begun = loading.get(url);
  if (begun) {
    return begun;
  }
  const loaded = new Promise<void>((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.async = true;
    script.onload = () => resolve();
    script.onerror = () => {
      loading.delete(url);
      script.remove();
      reject(new Error("the captcha cannot be loaded"));
    };
    document.head.append(script);
  });
  loading.set(url, loaded);
  return loaded;
}

interface Props {
  wanted: Wanted;
  label: string;
  language: Language;
  /** What the widget gave; empty when that is no longer good. */
  onToken: (token: string) => void;
  /** The widget is not to be had. */
  onFailure: () => void;
}

/** The provider's widget: a frame that takes the keyboard by itself. The focus goes before it, so that the next Tab enters it. */
export function Captcha({ wanted, label, language, onToken, onFailure }: Props) {
  const container = useRef<HTMLFieldSetElement>(null);
  const told = useRef({ onToken, onFailure });
  told.current = { onToken, onFailure };
  useEffect(() => {
    const vendor = VENDORS[wanted.provider];
    let widget: string | undefined;
    let left = false;
    const fail = () => {
      if (!left) {
        told.current.onFailure();
      }
    };
    const show = () => {
      const api = vendor?.api();
      if (left || !container.current) {
        return;
      }
      if (!vendor || !api) {
        fail();
        return;
      }
      widget = api.render(container.current, {
        sitekey: wanted.site_key,
        theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
        // A phone of 320 px has no room for more beside the card's edges.
        size: innerWidth < 380 ? "compact" : "normal",
        [vendor.language]: LANGUAGES[language],
        callback: (token: string) => told.current.onToken(token),
        "expired-callback": () => told.current.onToken(""),
        "error-callback": () => {
          fail();
          // The page has told it.
          return true;
        },
      });
    };
    container.current?.focus();
    load(vendor?.script ?? "").then(show, fail);
    return () => {
      left = true;
      if (widget !== undefined) {
        vendor?.api()?.remove(widget);
      }
    };
  }, [wanted, language]);
  return <fieldset ref={container} class="captcha" aria-label={label} tabIndex={-1} />;
}
