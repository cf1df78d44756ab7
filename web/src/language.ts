import type { Language } from "mobile-bind-client";

export type { Language };

/** The languages, as each calls itself. */
export const languages: [Language, string][] = [
  ["zh", "简体中文"],
  ["en", "English"],
  ["cht", "繁體中文"],
  ["spa", "Español"],
];

/** What a browser calls them. */
export const TAGS: Record<Language, string> = { zh: "zh-Hans", en: "en", cht: "zh-Hant", spa: "es" };

const KEPT = "mobile-bind.language";

/** The language that was chosen before, else the browser's. */
export function preferred(): Language {
  const kept = localStorage.getItem(KEPT);
  if (kept && kept in TAGS) {
    return kept as Language;
  }
  for (const tag of navigator.languages.map((tag) => tag.toLowerCase())) {
    if (/^zh-(hant|tw|hk|mo)/.test(tag)) {
      return "cht";
    }
    const found = ({ zh: "zh", en: "en", es: "spa" } as const)[tag.slice(0, 2)];
    if (found) {
      return found;
    }
  }
  return "zh";
}

/** Keeps the language that was chosen. */
export function remember(language: Language): void {
  localStorage.setItem(KEPT, language);
}
