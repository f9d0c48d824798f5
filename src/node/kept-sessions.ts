/**
 * Sessions with a server that are kept open for a while: a login costs it a process and tens of milliseconds on a busy machine.
 *
 * Nouns: a session is *warm* for some seconds after an order, since whoever is being acted on is asked again and again; one
 * that is left of a probe *watches* (node.ts), and is there so that an order to a candidate needs no login.
 * Invariants: a session is used by one call at a time; what is not used in its time is closed; few are kept of one server.
 */
import type { Epoch } from "../failover/ports.ts";
import type { Monotonic } from "../platform/clock.ts";
import { startTimer } from "../platform/timer.ts";
import type { QueryConnection } from "../postgres/query-connection.ts";

/** The next probe comes sooner. */
const KEPT_MS = 3_000;
/** Two orders that go to a candidate together. */
const KEPT_MAX = 2;

/** A session; times are the caller's monotonic clock's. */
export type KeptSession = {
  readonly connection: QueryConnection;
  readonly openedAt: Monotonic;
  /** The epoch that it was admitted under (admission.ts); undefined: it gave no order. */
  readonly marked: Epoch | undefined;
  /** Until when it is warm; undefined: no order used it. */
  readonly warmUntil: Monotonic | undefined;
};

type Entry = KeptSession & { readonly cool: () => void };

/** Those of one server. */
export class KeptSessions {
  readonly #entries: Entry[] = [];

  /** The newest that will do; it is the caller's then. */
  take(willDo: (session: KeptSession) => boolean): KeptSession | undefined {
    const index = this.#entries.findLastIndex(willDo);
    const [entry] = index < 0 ? [] : this.#entries.splice(index, 1);
    entry?.cool();
    return entry;
  }

  /** Keeps one that nobody uses. */
  keep(session: KeptSession): void {
    const entry: Entry = { ...session, cool: startTimer(KEPT_MS, () => this.#close(entry)) };
    this.#entries.push(entry);
    const [oldest] = this.#entries.length > KEPT_MAX ? this.#entries : [];
    if (oldest !== undefined) this.#close(oldest);
  }

  #close(entry: Entry): void {
    const index = this.#entries.indexOf(entry);
    if (index >= 0) this.#entries.splice(index, 1);
    entry.cool();
    // A goodbye that nobody waits for.
    void entry.connection.close();
  }
}
