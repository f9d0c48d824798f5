import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { withoutLooking } from "../../test/support/without-looking.ts";
import { systemProcesses as processes } from "./processes.ts";
import { currentUid } from "./run-as.ts";

test("where root may not look into processes of others it asks as their user, and who cannot be asked is unknown", async () => {
  const user = currentUid() === 0 ? { name: "nobody", uid: 65_534, gid: 65_534 } : undefined;
  const folder = await mkdtemp(path.join(tmpdir(), "seen-"));
  const [works, space, other] = ["works", "space", "other"].map((name) => path.join(folder, name));
  assert.ok(works !== undefined && space !== undefined && other !== undefined);
  await chmod(folder, 0o755);
  for (const each of [works, path.join(works, "links"), space, other]) await mkdir(each);
  await writeFile(path.join(space, "16384"), "");
  await symlink(space, path.join(works, "links/1"));
  if (user !== undefined) for (const each of [works, space]) await chown(each, user.uid, user.gid);
  const child = await processes.start({
    command: "/bin/sh",
    args: ["-c", "exec 3<../space/16384; echo; read -r wait"],
    folder: works,
    user,
    output: { kind: "pipe" },
    input: "pipe",
    detached: false,
  });
  try {
    await once(child.stdout ?? assert.fail(), "data");
    const asked = [works, space, other].map((where) => JSON.stringify([child.pid, where]).slice(1, -1));
    const code = `
      const { systemProcesses: p } = await import(src + "/platform/processes.ts");
      return await Promise.all([
        ${asked.map((each) => `p.worksIn(${each}), p.hasOpenIn(${each}, /^1/), p.hasOpenBelow(${each}, /^1/), p.leadsTo(${each}, "links")`).join()},
        p.worksIn(process.ppid, "/nonexistent"),
      ]);`;
    const [ofWorks, ofSpace, ofOther] = [
      ["yes", "no", "no", "no"],
      ["no", "yes", "yes", "yes"],
      ["no", "no", "no", "no"],
    ] as const;
    const seen = [...ofWorks, ...ofSpace, ...ofOther, "no"];
    assert.deepEqual(await withoutLooking(code, { asking: true }), seen);
    // No server of a folder that another user owns.
    const unseen = [...seen.slice(0, 8).map(() => "unknown"), ...ofOther, "no"];
    assert.deepEqual(await withoutLooking(code, { asking: false }), user === undefined ? seen : unseen);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  }
});
