/**
 * Bundles the program into dist/lifeboat.js for the npm package: Node.js strips no types below node_modules.
 * Dependencies stay outside, npm installs them beside it; but for zod and yaml, of whose two hundred files most would be opened
 * at every start: a tenth of a second of a busy core. Their licences go along.
 */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
// The service's programs need nothing beside them but pg: its packages are those of a workspace, which npm does not publish.
const service = await build({
  absWorkingDir: root,
  entryPoints: {
    api: "catalog/api/main.ts",
    mcp: "catalog/mcp/main.ts",
    scraper: "catalog/scraper/main.ts",
    schema: "catalog/schema/main.ts",
  },
  outdir: "dist/catalog",
  bundle: true,
  splitting: true,
  external: ["pg"],
  platform: "node",
  format: "esm",
  target: "node24.7",
  // Older packages ask for Node.js' own modules in a way that modules have not.
  banner: {
    js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
  },
  metafile: true,
  sourcemap: true,
  logLevel: "info",
});
const packages = new Set(
  Object.keys(service.metafile.inputs).flatMap((file) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []),
);
writeFileSync(path.join(root, "dist/catalog/LICENSES"), [...packages].sort().map(licenceOf).join("\n"));
// As it is: vaults are given its very bytes.
copyFileSync(path.join(root, "src/standalone/main.ts"), path.join(root, "dist/restore-program.ts"));

function licenceOf(folder: string): string {
  const file = ["LICENSE", "LICENSE.md", "license", "LICENSE.txt"]
    .map((name) => path.join(root, folder, name))
    .find(existsSync);
  const named: { license?: unknown } = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8"));
  return `== ${folder.replace("node_modules/", "")}\n${file === undefined ? String(named.license) : readFileSync(file, "utf8")}`;
}
