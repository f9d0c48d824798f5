/** Mends typing mistakes in a query, with the words of the catalogue. Pure. */

/** A word of a query as the database knows it. */
export type AskedWord = { readonly word: string; readonly isKnown: boolean; readonly near: readonly string[] };

/** A query with its mistakes mended: what to say, and what to search for (to_tsquery's syntax, plain words only). */
export type Mended = { readonly text: string; readonly query: string };

/** More words than a person types. */
const WORDS_MAX = 8;
/** Words as near as the nearest are all searched for, up to so many. */
const ALTERNATIVES_MAX = 4;

/** The words of a query: letters and digits, in lower case. */
export function wordsOf(query: string): readonly string[] {
  return [...new Set(query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])].slice(0, WORDS_MAX);
}

/** Undefined when nothing could be mended. A word that is near no other is left out. */
export function mend(words: readonly AskedWord[]): Mended | undefined {
  const parts: { readonly text: string; readonly query: string }[] = [];
  let isMended = false;
  for (const { word, isKnown, near } of words) {
    if (isKnown || word.length < 3) {
      parts.push({ text: word, query: word });
      continue;
    }
    isMended = true;
    const nearest = nearestOf(word, near);
    const [best] = nearest;
    if (best !== undefined) parts.push({ text: best, query: `(${nearest.join(" | ")})` });
  }
  if (!isMended || parts.length === 0) return undefined;
  return { text: parts.map(({ text }) => text).join(" "), query: parts.map(({ query }) => query).join(" & ") };
}

function nearestOf(word: string, near: readonly string[]): readonly string[] {
  const editsMax = word.length < 5 ? 1 : 2;
  const ranked = near
    .map((other, index) => ({ other, edits: editsBetween(word, other), index }))
    .filter(({ edits }) => edits <= editsMax)
    .sort((a, b) => a.edits - b.edits || a.index - b.index);
  const least = ranked[0]?.edits;
  return ranked
    .filter(({ edits }) => edits === least)
    .slice(0, ALTERNATIVES_MAX)
    .map(({ other }) => other);
}

/** Letters to insert, leave out, change, or swap with their neighbour, to get from one word to the other. */
export function editsBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const now = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min((last[j] ?? 0) + 1, (now[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, (beforeLast[j - 2] ?? 0) + 1);
      now.push(edits);
    }
    beforeLast = last;
    last = now;
  }
  return last[b.length] ?? 0;
}

/** Asks for each word whether it is known, and for words near it where it is not. */
export const SPELLING_SQL = `select asked.word, known.is_known,
  case when known.is_known then '{}' else coalesce((select array_agg(near order by place)
    from near_words(asked.word) with ordinality as n(near, place)), '{}') end as near
from unnest($1::text[]) with ordinality as asked(word, place)
cross join lateral (select exists (select from search_words w where w.word = asked.word) as is_known) known order by asked.place`;
