import type { Language } from "../../language.ts";
import { CHT } from "./cht.ts";
import { EN } from "./en.ts";
import { SPA } from "./spa.ts";
import type { Words } from "./words.ts";
import { ZH } from "./zh.ts";

export type { AccountWords, View, Words } from "./words.ts";

export const WORDS: Record<Language, Words> = { zh: ZH, en: EN, cht: CHT, spa: SPA };
