/**
 * The supervisor's process: `node main.ts <folder> <socket> [if-needed]`. Started by local-platform.ts; it outlives who started it.
 *
 * It ends on request, on SIGTERM and on SIGINT, having stopped its components; nothing else ends it but its death, after
 * which its components run on and the next supervisor takes them over.
 */
import { errorText } from "../../errors/error-text.ts";
import { formatInstant, systemClock } from "../clock.ts";
import { systemFiles } from "../files.ts";
import { systemLocks } from "../lock.ts";
import { systemProcesses } from "../processes.ts";
import { serveControl } from "./control-server.ts";
import { IF_NEEDED, STATUS_BUSY } from "./local-platform.ts";
import { namesProcess, readRecord } from "./record.ts";
import { logFolderOf, Supervisor } from "./supervisor.ts";

/** A log grows by some MiB between two looks at most. */
const TIDY_INTERVAL_MS = 30_000;
/** Nothing can be stopped or fenced while nobody can ask; a look costs microseconds. */
const LISTEN_INTERVAL_MS = 500;

const [folder, socket, condition] = process.argv.slice(2);
if (folder === undefined || socket === undefined) throw new Error("a supervisor is given its folder and its socket");

// Its log may lie on a full disk.
process.stderr.on("error", () => undefined);

const notice = (message: string): void => {
  process.stderr.write(`${formatInstant(systemClock.now())} ${message}\n`);
};

try {
  await supervise(folder, socket);
} catch (error) {
  notice(errorText(error));
  process.exitCode = 1;
}
process.exit();

async function supervise(ours: string, listenAt: string): Promise<void> {
  const ports = { files: systemFiles, processes: systemProcesses, clock: systemClock, locks: systemLocks, notice };
  if (condition === IF_NEEDED && !namesProcess((await readRecord(systemFiles, ours)).components)) {
    process.exitCode = STATUS_BUSY;
    return;
  }
  await systemFiles.makeFolder(logFolderOf(ours), 0o700);
  const supervisor = await Supervisor.open(ports, ours);
  if (supervisor === undefined) {
    process.exitCode = STATUS_BUSY;
    return;
  }
  // Nobody listens on it: we have the lock.
  await systemFiles.remove(listenAt);
  const ending = new AbortController();
  const server = await serveControl(systemFiles, {
    folder: ours,
    socket: listenAt,
    supervisor,
    onEnd: () => ending.abort(),
  });
  notice(`process ${process.pid} is ready`);
  // The terminal it was started from may go.
  process.on("SIGHUP", () => undefined);
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.once(signal, () => {
      notice(`${signal}: stopping all components`);
      supervisor.end().then(
        () => ending.abort(),
        (error: unknown) => notice(`could not stop all: ${errorText(error)}`),
      );
    });
  }
  const every = async (intervalMs: number, work: () => Promise<void>): Promise<void> => {
    while (!ending.signal.aborted) {
      await work();
      await systemClock.sleep(intervalMs, { signal: ending.signal }).catch(() => undefined);
    }
  };
  let refused = "";
  const listening = every(LISTEN_INTERVAL_MS, async () => {
    try {
      await server.renew();
      refused = "";
    } catch (error) {
      // Twice a second is often enough for trying, and not for telling.
      if (errorText(error) !== refused) notice(`cannot listen at ${listenAt}: ${errorText(error)}`);
      refused = errorText(error);
    }
  });
  await every(TIDY_INTERVAL_MS, () => supervisor.tidy());
  await listening;
  await server.close();
  await systemFiles.remove(listenAt);
  notice("ended");
}
