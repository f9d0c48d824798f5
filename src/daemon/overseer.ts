/**
 * Sees to it that a supervisor looks after the stack's programs, the daemon among them.
 *
 * What ends while there is none stays down, and the supervisor started the daemon, not the other way round: each is there for the
 * other one's end.
 */
import { errorText } from "../errors/error-text.ts";
import { type Clock, throwIfAborted } from "../platform/clock.ts";
import { loopService, type Service, type ServiceFailed } from "./service.ts";

/** What it needs. */
export type OverseerTools = {
  readonly clock: Clock;
  readonly platform: {
    /** Brings a supervisor up where none answers and one is needed; true when it had to. */
    ensureSupervisor(options: { readonly signal: AbortSignal }): Promise<boolean>;
  };
  readonly notice: (message: string) => void;
};

/** Nothing that clients need ends with a supervisor: there is time, and two daemons ask. */
const INTERVAL_MS = 10_000;

/** Asks again and again. Where none can be brought up that is told, once for each reason, and tried again. */
export function overseerService({ clock, platform, notice }: OverseerTools, failed: ServiceFailed): Service {
  return loopService(
    "overseer",
    async (signal) => {
      let said = "";
      while (!signal.aborted) {
        await clock.sleep(INTERVAL_MS, { signal });
        try {
          if (await platform.ensureSupervisor({ signal })) {
            notice("the supervisor had ended: another one looks after the programs of the stack");
          }
          said = "";
        } catch (error) {
          throwIfAborted(signal, "asking the supervisor");
          const text = `nobody looks after the programs of the stack: ${errorText(error)}`;
          if (text !== said) notice(text);
          said = text;
        }
      }
    },
    failed,
  );
}
