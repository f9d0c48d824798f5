/**
 * What a product category is made of, and its compiled form.
 *
 * Nouns: a *slot* is one property of a product (colour, size, model) with the *choices* it can take; a *template* is a
 * sentence or a title with slots in braces. A row draws each slot once, so title, description and attributes agree.
 * `{colour}` is the choice as written, `{~colour}` is the same for the middle of a sentence.
 * Invariant: a template that names a slot its category lacks is refused when the table is compiled, never printed raw.
 */
import { assert } from "../errors/error.ts";
import type { Prng } from "../platform/prng.ts";

/** A choice of a slot; with a number, the price is multiplied by it. */
export type Choice = string | readonly [string, number];

/** One category, as written in the tables. Every text must fit Latin-1 and hold no tab, newline or backslash. */
export type Category = {
  /** From the widest to the narrowest. */
  readonly path: readonly string[];
  /** Cheapest first: the price grows along this list. */
  readonly brands: readonly string[];
  /** Usual prices in US dollars, low and high, before the factors of brand and choices. */
  readonly priceUsd: readonly [number, number];
  readonly titles: readonly string[];
  readonly slots: Readonly<Record<string, readonly Choice[]>>;
  /** Slots whose value is a code: `#` becomes a digit, `%` a digit from 1 to 9, `@` a capital letter. */
  readonly codes?: Readonly<Record<string, readonly string[]>>;
  /** Attribute name to slot. The brand is always an attribute. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly openings: readonly string[];
  readonly features: readonly string[];
  readonly uses: readonly string[];
};

type CompiledChoice = {
  readonly text: string;
  readonly lower: string;
  /** A JSON string, already escaped for COPY. */
  readonly json: string;
  readonly factor: number;
};

type Slot =
  | { readonly kind: "choice"; readonly choices: readonly CompiledChoice[] }
  | { readonly kind: "code"; readonly patterns: readonly string[] };

/** A template cut at its slots: a literal before each slot, and one after the last. */
export type Template = {
  readonly literals: readonly string[];
  readonly slots: readonly number[];
  readonly lower: readonly boolean[];
};

/** A category ready for drawing products. */
export type CompiledCategory = {
  readonly path: readonly string[];
  /** The path as a PostgreSQL array, escaped for COPY. */
  readonly pathArray: string;
  readonly priceUsd: readonly [number, number];
  readonly slots: readonly Slot[];
  readonly titles: readonly Template[];
  readonly openings: readonly Template[];
  readonly features: readonly Template[];
  readonly uses: readonly Template[];
  readonly attributes: readonly { readonly key: string; readonly slot: number }[];
};

/** The values one product drew, by slot number. Reused from row to row. */
export type Draw = { readonly text: string[]; readonly lower: string[]; readonly json: string[] };

/** The slot every category has. */
const BRAND_SLOT = 0;

/** The dearest brand of a category asks this much more than the cheapest. */
const BRAND_SPREAD = 0.9;

const LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ";

/** Checks and compiles one category. */
export function compileCategory(category: Category): CompiledCategory {
  const names = ["brand"];
  const slots: Slot[] = [{ kind: "choice", choices: category.brands.map(brandChoice) }];
  for (const [name, choices] of Object.entries(category.slots)) {
    names.push(name);
    slots.push({ kind: "choice", choices: choices.map(compileChoice) });
  }
  for (const [name, patterns] of Object.entries(category.codes ?? {})) {
    names.push(name);
    slots.push({ kind: "code", patterns });
  }
  const where = category.path.join(" > ");
  const slotNumber = (name: string): number => {
    const number = names.indexOf(name);
    assert(number >= 0, `category ${where} has slot ${name}`);
    return number;
  };
  const compileAll = (texts: readonly string[]): readonly Template[] => texts.map((text) => cut(text, slotNumber));
  const attributes = Object.entries(category.attributes).map(([key, name]) => ({
    key: `${copyText(JSON.stringify(key))}: `,
    slot: slotNumber(name),
  }));
  return {
    path: category.path,
    pathArray: copyText(`{${category.path.map((part) => `"${part}"`).join(",")}}`),
    priceUsd: category.priceUsd,
    slots,
    titles: compileAll(category.titles),
    openings: compileAll(category.openings),
    features: compileAll(category.features),
    uses: compileAll(category.uses),
    attributes: [{ key: '"brand": ', slot: BRAND_SLOT }, ...attributes],
  };
}

/** Draws every slot of a product into `draw`; returns the factor its price is multiplied by. */
export function drawSlots(category: CompiledCategory, random: Prng, draw: Draw): number {
  let factor = 1;
  for (let number = 0; number < category.slots.length; number++) {
    const slot = category.slots[number];
    if (slot === undefined) break;
    if (slot.kind === "code") {
      const code = drawCode(random.pick(slot.patterns), random);
      draw.text[number] = code;
      draw.lower[number] = code;
      draw.json[number] = `"${code}"`;
    } else {
      const choice = random.pick(slot.choices);
      draw.text[number] = choice.text;
      draw.lower[number] = choice.lower;
      draw.json[number] = choice.json;
      factor *= choice.factor;
    }
  }
  return factor;
}

/** Fills a template with what was drawn. */
export function fill(template: Template, draw: Draw): string {
  let text = template.literals[0] ?? "";
  for (let index = 0; index < template.slots.length; index++) {
    const slot = template.slots[index] ?? BRAND_SLOT;
    text += (template.lower[index] === true ? draw.lower[slot] : draw.text[slot]) ?? "";
    text += template.literals[index + 1] ?? "";
  }
  return text;
}

/** Escapes a value for COPY's text format. */
export function copyText(text: string): string {
  return text.replaceAll("\\", "\\\\");
}

function brandChoice(name: string, index: number, all: readonly string[]): CompiledChoice {
  return compileChoice([name, 0.75 + (BRAND_SPREAD * index) / Math.max(1, all.length - 1)]);
}

function compileChoice(choice: Choice): CompiledChoice {
  const [text, factor] = typeof choice === "string" ? [choice, 1] : choice;
  assert(!/[^ -~\u00a0-\u00ff]|[\\{}]/.test(text), `choice ${text} is plain Latin-1 text`);
  return { text, lower: midSentence(text), json: copyText(JSON.stringify(text)), factor };
}

/** Lower case for words that are written like names; codes and units (USB-C, 2.0Ah, V) stay as they are. */
function midSentence(text: string): string {
  return text.replaceAll(/\b[A-Z][a-z\u00e0-\u00ff]+/g, (word) => word.toLowerCase());
}

function cut(text: string, slotNumber: (name: string) => number): Template {
  assert(!/[^ -~\u00a0-\u00ff]|\\/.test(text), `template ${text} is plain Latin-1 text`);
  const literals: string[] = [];
  const slots: number[] = [];
  const lower: boolean[] = [];
  let rest = text;
  for (let open = rest.indexOf("{"); open >= 0; open = rest.indexOf("{")) {
    const close = rest.indexOf("}", open);
    assert(close > open, `template ${text} closes its braces`);
    const name = rest.slice(open + 1, close);
    literals.push(rest.slice(0, open));
    lower.push(name.startsWith("~"));
    slots.push(slotNumber(name.replace("~", "")));
    rest = rest.slice(close + 1);
  }
  literals.push(rest);
  return { literals, slots, lower };
}

function drawCode(pattern: string, random: Prng): string {
  let code = "";
  for (const sign of pattern) {
    if (sign === "#") code += String(random.below(10));
    else if (sign === "%") code += String(1 + random.below(9));
    else if (sign === "@") code += LETTERS[random.below(LETTERS.length)];
    else code += sign;
  }
  return code;
}
