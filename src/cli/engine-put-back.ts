/** What `rebuild --old-data-into` does. */
import path from "node:path";
import { checkOutside } from "../restore/layout.ts";
import { putBack } from "../restore/put-back.ts";
import { ownFoldersOf, withNewestAside } from "../stack/asides.ts";
import { openStackVault } from "../stack/observe.ts";
import { NODE_NAMES, startedSecrets } from "../stack/primary.ts";
import { MACHINE, serverUserOf } from "./engine-machine.ts";
import { checkReachable } from "./engine-restore.ts";
import { configuredStack } from "./engine-stack.ts";
import type { FailoverEngine } from "./failover.ts";

/** Writes the data that a node had before its rebuild into an empty folder; the stack is left alone. */
export const putBackConfigured: FailoverEngine["putBack"] = async (call) => {
  const { config, session } = call;
  const options = { signal: session.signal };
  const stack = await configuredStack(config);
  const node = NODE_NAMES.find((name) => name === call.node) ?? stack.primary;
  const secrets = await startedSecrets(MACHINE.files, stack);
  return await withNewestAside(MACHINE, stack, node, async (aside) => {
    const tools = { ...MACHINE, clock: session.clock };
    const vault = await openStackVault(tools, stack, secrets, { ...options, access: "read" });
    const folder = path.resolve(call.folder);
    const owner = await serverUserOf(config.postgres.runAs, session.signal);
    await checkReachable([folder], owner, options);
    const under = `${folder}.tablespaces`;
    await checkOutside(MACHINE.files, [folder, under], ownFoldersOf(stack));
    const place = { folder, tablespaces: { byOid: new Map(), under }, owner };
    const onProgress = ({ doneBytes, totalBytes }: { readonly doneBytes: number; readonly totalBytes: number }): void =>
      session.progress.report({ phase: "writing the old data", done: doneBytes, total: totalBytes });
    const { madeAt } = await putBack({ ...MACHINE, vault, onProgress }, aside, place, options);
    return { folder, keptAt: madeAt, aside };
  });
};
