/**
 * Bundles the program into dist/lifeboat.js for the npm package: Node.js strips no types below node_modules.
 * Dependencies stay outside, npm installs them beside it; but for zod and yaml, of whose two hundred files most would be opened
 * at every start: a tenth of a second of a busy core. Their licences go along.
 */
import { copyFileSync, rmSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
const bundled = (name: string): string => path.join(root, "node_modules", name);
rmSync(path.join(root, "dist"), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  // The probe and the supervisor of a stack run in processes of their own, work on chunks in threads.
  entryPoints: {
    lifeboat: "src/cli/main.ts",
    probe: "src/probe/main.ts",
    "chunk-thread": "src/vault/threads/main.ts",
    supervisor: "src/platform/local/main.ts",
  },
  outdir: "dist",
  bundle: true,
  // Keeps what verbs load lazily in files of its own, so that --help stays quick.
  splitting: true,
  packages: "external",
  alias: { zod: path.join(bundled("zod"), "index.js"), yaml: path.join(bundled("yaml"), "browser/dist/index.js") },
  platform: "node",
  format: "esm",
  target: "node24.7",
  sourcemap: true,
  logLevel: "info",
});
for (const name of ["zod", "yaml"]) {
  copyFileSync(path.join(bundled(name), "LICENSE"), path.join(root, `dist/${name}-LICENSE`));
}
// As it is: vaults are given its very bytes.
copyFileSync(path.join(root, "src/standalone/main.ts"), path.join(root, "dist/restore-program.ts"));
