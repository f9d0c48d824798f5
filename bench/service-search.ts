/** The part of `bench service` that searches: how long a mixture of searches takes, and what mistyped words find. */
import { type Answers, askOpen, type Target } from "./http-clients.ts";
import type { SearchFigures } from "./service-plan.ts";
import { Queries, type SearchKind } from "./service-queries.ts";
import { percentile } from "./statistics.ts";

const MIXTURE_SEED = 11;
const TYPED_SEED = 8;
const TYPED = 300;
/** What a server that has just started has not read yet, and a program not compiled, is not what is measured. */
const WARM_UP_MS = 5_000;
/** One in a hundred is to be more than a few. */
const SECONDS_MIN = 30;

type SearchRequest = { readonly offers: number; readonly seconds: number; readonly ratePerSecond: number };

/** Asks a mixture of searches at a rate, no two of them alike. */
export async function measureSearch(
  { offers, seconds, ratePerSecond: perSecond }: SearchRequest,
  target: Target,
): Promise<SearchFigures> {
  const queries = new Queries(offers, MIXTURE_SEED);
  const warm = Array.from({ length: (perSecond * WARM_UP_MS) / 1_000 }, () => queries.search());
  await askOpen(target, { perSecond, durationMs: WARM_UP_MS, path: (index) => warm[index]?.path ?? "/" });
  const durationMs = Math.max(seconds, SECONDS_MIN) * 1_000;
  const asked = Array.from({ length: Math.floor((perSecond * durationMs) / 1_000) }, () => queries.search());
  const byKind = new Map<SearchKind, number[]>();
  let slowest = { ms: 0, path: "" };
  const answers: Answers = await askOpen(target, {
    perSecond,
    durationMs,
    path: (index) => asked[index]?.path ?? "/",
    answered: (index, { latencyMs }) => {
      const search = asked[index];
      if (search === undefined) return;
      const times = byKind.get(search.kind) ?? [];
      times.push(latencyMs);
      byKind.set(search.kind, times);
      if (latencyMs > slowest.ms) slowest = { ms: latencyMs, path: search.path };
    },
  });
  const { latenciesMs: all } = answers;
  return {
    p50Ms: percentile(all, 0.5),
    p99Ms: percentile(all, 0.99),
    maxMs: percentile(all, 1),
    slowest: slowest.path,
    count: answers.count,
    bad: answers.bad,
    kinds: [...byKind].map(([kind, times]) => ({
      kind,
      count: times.length,
      p50Ms: percentile(times, 0.5),
      p99Ms: percentile(times, 0.99),
      maxMs: percentile(times, 1),
    })),
  };
}

/** Of queries with one letter wrong: those whose first ten have what the right query has first. */
export async function measureRecall(
  offers: number,
  target: Target,
): Promise<{ readonly found: number; readonly asked: number }> {
  const queries = new Queries(offers, TYPED_SEED);
  let found = 0;
  let asked = 0;
  const idsOf = async (query: string): Promise<readonly number[]> => {
    const url = `http://127.0.0.1:${target.port}/v1/products/search?q=${encodeURIComponent(query)}&fields=id&limit=10`;
    const page: { items: readonly { id: number }[] } = JSON.parse(
      await (await fetch(url, { headers: target.headers })).text(),
    );
    return page.items.map(({ id }) => id);
  };
  while (asked < TYPED) {
    const { right, wrong } = queries.typed();
    const [first] = await idsOf(right);
    if (first === undefined) continue;
    asked += 1;
    if ((await idsOf(wrong)).includes(first)) found += 1;
  }
  return { found, asked };
}
