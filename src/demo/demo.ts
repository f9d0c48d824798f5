/**
 * The demo: a real server is backed up while a client writes to it, is destroyed, and comes back.
 *
 * Nouns: the *client* is another process that writes at a fixed rate and keeps a synced ledger of what was acknowledged;
 * the *mistake* is a DELETE that takes every row of another table; the *disaster* is SIGKILL to every process of the server
 * and the deletion of its data directory; a *proof* here is the read-back of every acknowledged write.
 * Invariants: everything lies in a folder of the demo's own, nothing else is touched; each step uses the same functions
 * as the verbs (the receiver is the verb itself, in a process of its own); when the demo ends, in whatever way but by
 * SIGKILL, no process and no folder of it is left, unless it was asked to keep them; what a SIGKILL leaves, the next demo
 * removes.
 */

import { errorText } from "../errors/error-text.ts";
import { haveDisaster, proveWrites, recover, undoMistake } from "./after.ts";
import { backUp, letWrite, makeMistake, makeServer, protect, startClient } from "./before.ts";
import { countRows, pickTitles } from "./deletion.ts";
import type { Scene } from "./disaster.ts";
import { type DemoChoice, type DemoFacts, scorecardOf } from "./facts.ts";
import { checkDemoSpace, type DemoFolder, makeDemoFolder, removeDemoFolder, removeLeftovers } from "./folder.ts";
import { keepForALook } from "./keep.ts";
import { findServerKit, majorOf } from "./servers.ts";
import { type DemoSettings, type DemoTools, elapsed, type Stage, WallClock } from "./stage.ts";

type CallOptions = { readonly signal: AbortSignal };

/** Runs the demo. Rejects with whatever a step rejects with, after everything was cleared away. */
export async function runDemo(
  tools: DemoTools,
  settings: DemoSettings,
  call: CallOptions & { readonly choice: DemoChoice },
): Promise<DemoFacts> {
  const { choice, signal } = call;
  for (const folder of await removeLeftovers(tools, settings.sandbox)) {
    tools.notice(`removed ${folder}: a demo that was killed had left it`);
  }
  const scope = new AsyncDisposableStack();
  const keeping: { place: DemoFolder | undefined; servers: boolean } = { place: undefined, servers: false };
  try {
    const place = await makeDemoFolder(tools, { sandbox: settings.sandbox, keep: choice.keep });
    scope.defer(() => place.lock.release());
    scope.defer(() => (choice.keep ? undefined : removeDemoFolder(tools.files, place)));
    keeping.place = place;
    const stage = await setStage({ tools, settings, choice, place, scope, signal }, keeping);
    const facts = await tellStory(stage);
    keeping.servers = choice.keep;
    await scope.disposeAsync();
    return facts;
  } catch (error) {
    // What went wrong first is what a person has to know; what could not be cleared away is told beside it.
    await scope.disposeAsync().catch((failure: unknown) => {
      tools.notice(`could not clear everything away: ${errorText(failure)}`);
    });
    if (choice.keep && keeping.place !== undefined)
      tools.notice(`kept for a look, nothing runs in it: ${keeping.place.folder}`);
    throw error;
  }
}

async function setStage(
  base: Pick<Stage, "tools" | "settings" | "choice" | "place" | "scope" | "signal">,
  keeping: { readonly servers: boolean },
): Promise<Stage> {
  const { tools, settings, choice, place, scope, signal } = base;
  await checkDemoSpace(tools.files, place.folder, choice.sizeBytes);
  const kit = await findServerKit(tools, place, {
    major: majorOf(choice.pg),
    binFolder: settings.binFolder,
    runAs: settings.runAs,
    signal,
  });
  const begunAt = tools.clock.monotonic();
  return {
    ...base,
    kit,
    passphrase: tools.random(24).toString("base64url"),
    wall: new WallClock(tools.clock),
    say: (line) => tools.notice(`${elapsed(tools.clock, begunAt)}  ${line}`),
    made: (server) =>
      scope.defer(async () => {
        if (!keeping.servers) await server.kill();
      }),
  };
}

/** The story, in the order of the README. */
async function tellStory(stage: Stage): Promise<DemoFacts> {
  const { tools, choice, settings } = stage;
  const begunAt = tools.clock.monotonic();
  const { server, systemId, loaded } = await makeServer(stage);
  const receiver = await protect(stage, server);
  const writingSince = tools.clock.monotonic();
  const client = await startClient(stage, server);
  const scene: Scene = { files: tools.files, clock: tools.clock, wall: stage.wall, server, systemId, receiver, client };
  const backup = await backUp(stage, scene);
  const mistake = await makeMistake(stage, scene);
  await letWrite(stage, writingSince);
  const outage = await haveDisaster(stage, scene);
  const { restored, readyMs, recovery } = await recover(stage, scene, outage);
  const writes = await proveWrites(stage, { scene, outage, restored, readyMs });
  const titles = await pickTitles(restored, stage);
  const rowsAtNewestPoint = await countRows(restored, stage);
  const undone = await undoMistake(stage, { scene, mistake, rowsAtNewestPoint });
  const kept = choice.keep
    ? await keepForALook(stage.kit, {
        restored,
        beforeDelete: undone.server,
        receiverDelayMs: settings.receiverDelayMs,
        command: tools.program.command,
      })
    : undefined;
  return {
    durability: choice.durability,
    receiverDelayMs: settings.receiverDelayMs,
    postgresVersion: stage.kit.installation.version,
    database: loaded,
    backup,
    writes,
    recovery,
    deletion: undone.facts,
    scorecard: scorecardOf({ recovery, deletion: undone.facts, writes }),
    titles,
    durationMs: Math.round(tools.clock.monotonic() - begunAt),
    kept,
  };
}
