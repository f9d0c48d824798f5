/**
 * Which calls of webhooks an instance has in hand, and what it has room for.
 *
 * Nouns: a *lane* is a receiving end, host and port, whoever's webhooks lead there; a lane is *slow* once a call in it took long,
 * or takes long now.
 * Invariants: a lane has a bounded number of calls at once, and all lanes together; slow ones have places of their own, so that
 * they hold up each other and nobody else, however many they are.
 */
import type { Clock, Monotonic } from "../../src/platform/clock.ts";

/** Calls at once in one lane; fewer in a slow one, and one where the last call failed (webhook-queue.ts). */
export const LANE_MAX = 4;
export const SLOW_LANE_MAX = 2;
/** Places of lanes that answer soon, and of slow ones: together what an instance has sockets and memory for without a thought. */
const QUICK_PLACES = 24;
const SLOW_PLACES = 8;
/** With calls that turn out slow meanwhile. */
const CALLS_MAX = 64;
/** A receiving end that only takes note answers in a tenth of it. */
const SLOW_MS = 1_000;
/** So long a lane stays slow that was. */
const SLOW_FOR_MS = 600_000;
/** Slow lanes that are remembered; beyond them a lane has to show again that it is. */
const REMEMBERED_MAX = 1_000;

/** A call that was begun. */
export type CallInHand = { readonly lane: string; readonly begunAt: Monotonic };

/** What there is room for. */
export type LaneRoom = {
  /** Calls in hand, by lane. */
  readonly busy: ReadonlyMap<string, number>;
  readonly slow: readonly string[];
  readonly quickPlaces: number;
  readonly slowPlaces: number;
};

/** See the header. */
export class WebhookLanes {
  readonly #clock: Clock;
  readonly #inHand = new Set<CallInHand>();
  /** Until when. */
  readonly #slow = new Map<string, Monotonic>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A call begins. */
  begin(lane: string): CallInHand {
    const call = { lane, begunAt: this.#clock.monotonic() };
    this.#inHand.add(call);
    return call;
  }

  /** A call has ended, or failed. */
  end(call: CallInHand): void {
    this.#inHand.delete(call);
    this.#judge(call);
  }

  /** What there is room for now. */
  room(): LaneRoom {
    const now = this.#clock.monotonic();
    const busy = new Map<string, number>();
    for (const call of this.#inHand) {
      busy.set(call.lane, (busy.get(call.lane) ?? 0) + 1);
      this.#judge(call);
    }
    for (const [lane, until] of this.#slow) if (now >= until && !busy.has(lane)) this.#slow.delete(lane);
    let slowCalls = 0;
    for (const { lane } of this.#inHand) if (this.#slow.has(lane)) slowCalls += 1;
    const left = CALLS_MAX - this.#inHand.size;
    const places = (most: number, taken: number): number => Math.max(0, Math.min(left, most - taken));
    return {
      busy,
      slow: [...this.#slow.keys()],
      quickPlaces: places(QUICK_PLACES, this.#inHand.size - slowCalls),
      slowPlaces: places(SLOW_PLACES, slowCalls),
    };
  }

  #judge({ lane, begunAt }: CallInHand): void {
    const now = this.#clock.monotonic();
    if (now - begunAt < SLOW_MS) return;
    this.#slow.delete(lane);
    this.#slow.set(lane, (now + SLOW_FOR_MS) as Monotonic);
    if (this.#slow.size <= REMEMBERED_MAX) return;
    for (const oldest of this.#slow.keys()) {
      this.#slow.delete(oldest);
      break;
    }
  }
}
