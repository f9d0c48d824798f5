/** What `pooler status`, `pooler resume` and `pooler watch` do. */
import { readSecretFile } from "../config/secrets.ts";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { filesOfFolder } from "../platform/owned-files.ts";
import { currentUid } from "../platform/run-as.ts";
import { tellEvery } from "../pooler/every-pooler.ts";
import { openPooler, type PoolerPlace, watchedPooler } from "../pooler/open-pooler.ts";
import type { PgBouncer } from "../pooler/pgbouncer.ts";
import { type WatchEvent, watchPoolers } from "../pooler/watchdog.ts";
import { secretTools } from "./compose.ts";
import { MACHINE } from "./engine-machine.ts";
import type { PoolerEngine } from "./pooler.ts";
import type { Session } from "./verb.ts";

type Call = Parameters<PoolerEngine["look"]>[0];

const ROOT_UID = 0;

/** Looks, resumes, watches. */
export const poolerEngine: PoolerEngine = {
  look: async (call) =>
    await withPoolers(call, async (poolers) => {
      const looked = poolers.map(async (pooler) => {
        try {
          const state = await pooler.state({ signal: call.session.signal });
          return { name: pooler.name, seen: { kind: "state", state } } as const;
        } catch (error) {
          if (!isLifeboatError(error) || error.code === "platform.aborted") throw error;
          return { name: pooler.name, seen: { kind: "unreachable", reason: error } } as const;
        }
      });
      return await Promise.all(looked);
    }),
  resume: async (call) =>
    await withPoolers(call, async (poolers) => {
      const options = { signal: call.session.signal };
      // With the epoch that acted last: a person's word does not end a controller's turn.
      const resumed = await tellEvery(poolers, async (pooler) => {
        const { epoch } = await pooler.state(options);
        const answer = await pooler.resume({ epoch }, options);
        if (answer.kind === "stale-epoch") throw overtaken(pooler.name, answer.seen);
      });
      return resumed.map(({ name }) => name);
    }),
  watch: async (call) => {
    const { session } = call;
    const places = await placesOf(call);
    const tools = { ...MACHINE, clock: session.clock, onEvent: (event: WatchEvent) => tell(session, event) };
    const poolers = places.map(watchedPooler);
    session.notice(`watching ${poolers.map(({ name }) => name).join(", ")}`);
    try {
      await watchPoolers(tools, poolers, { signal: session.signal });
    } finally {
      await Promise.all(poolers.map(({ console }) => console.close()));
    }
  },
};

async function withPoolers<T>(call: Call, work: (poolers: readonly PgBouncer[]) => Promise<T>): Promise<T> {
  const places = await placesOf(call);
  const poolers = await Promise.all(
    places.map(async (place) => {
      const files = await filesOfFolder(MACHINE.files, place.databasesFile, currentUid());
      return openPooler({ ...MACHINE, files, clock: call.session.clock }, place);
    }),
  );
  try {
    return await work(poolers);
  } finally {
    await Promise.all(poolers.map((pooler) => pooler.close()));
  }
}

async function placesOf(call: Call): Promise<readonly PoolerPlace[]> {
  const { consoles, databasesFile, passwordFile } = call.config.pooler;
  if (consoles === undefined || databasesFile === undefined) {
    throw new LifeboatError("config.usage", {
      message: "no pooler is configured",
      remedy: "Set pooler.consoles and pooler.databasesFile, or name the stack's own file with --config.",
    });
  }
  const tools = await secretTools(call, "known");
  const password =
    passwordFile === undefined ? undefined : await readSecretFile(passwordFile, "the poolers' password", tools);
  // Whose file it is also takes the lock beside it.
  const facts = currentUid() === ROOT_UID ? await MACHINE.files.stat(databasesFile) : undefined;
  const owner = facts === undefined ? undefined : { name: "", uid: facts.uid, gid: facts.gid };
  return consoles.map((console) => ({ console, password, databasesFile, owner }));
}

function tell(session: Session, event: WatchEvent): void {
  switch (event.kind) {
    case "resumed": {
      const { hold, heldMs, pooler } = event;
      session.notice(
        `resumed ${pooler}: epoch ${hold.epoch} was silent for ${heldMs} ms, it promised ${hold.holdMs} ms`,
      );
      break;
    }
    case "failed":
      session.notice(`cannot watch ${event.pooler}: ${event.error.message} (${event.error.code})`);
      break;
  }
}

function overtaken(name: string, seen: number): LifeboatError {
  return new LifeboatError("pooler.busy", {
    message: `a controller has just acted on the pooler ${name} (epoch ${seen})`,
    remedy: "Look what it does (lifeboat pooler status), and let it.",
    retryable: true,
  });
}
