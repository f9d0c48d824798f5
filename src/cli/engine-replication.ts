/** Watches the replication of the configured stack. */
import type { ReplicationView } from "../replication/decide.ts";
import { writeMetrics } from "../replication/metrics.ts";
import { ReplicationWatch } from "../replication/watch.ts";
import { startedSecrets } from "../stack/primary.ts";
import { receiverNow } from "../stack/receiver-now.ts";
import { watchedConfirmers, watchedNodes } from "../stack/replication.ts";
import { MACHINE } from "./engine-machine.ts";
import { configuredStack } from "./engine-stack.ts";
import type { WatchReplication } from "./replication.ts";

/** Watches. */
export const watchReplication: WatchReplication = async ({ config, session, intervalMs, metricsFile, onView }) => {
  const options = { signal: session.signal };
  const stack = await configuredStack(config);
  const secrets = await startedSecrets(MACHINE.files, stack);
  const watch = new ReplicationWatch(session, {
    nodes: watchedNodes(stack, secrets),
    confirmers: async () => watchedConfirmers(await receiverNow(MACHINE.files, stack.place)),
    policy: { lagMsMax: config.replication.lagMax, lagBytesMax: config.replication.lagBytesMax },
  });
  const tell = async (view: ReplicationView): Promise<void> => {
    if (metricsFile !== undefined) await writeMetrics(MACHINE, metricsFile, view);
    onView(view);
  };
  if (intervalMs === undefined) await tell(await watch.look(options));
  else await watch.run({ intervalMs, onView: tell }, options);
};
