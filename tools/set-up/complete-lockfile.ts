/**
 * Completes package-lock.json for platforms the registry in use does not carry.
 *
 * Some registries hold only the Linux builds of packages that come per platform. npm then writes a lockfile without
 * the others, and `npm ci` refuses that file as "not in sync". The missing entries are platform builds that are never
 * fetched here, so a version and a platform are enough. Run by `npm run lockfile` after a change of dependencies.
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

type LockedPackage = {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
};

/** The part of a lockfile that matters here. */
export type Lockfile = { readonly packages: Readonly<Record<string, LockedPackage>> };

/** Names of optional packages some locked package asks for and the lockfile does not hold; `npm ci` refuses those. */
export function missingOptionals(lock: Lockfile): readonly { readonly name: string; readonly version: string }[] {
  const missing = new Map<string, string>();
  for (const locked of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(locked.optionalDependencies ?? {})) {
      if (lock.packages[`node_modules/${name}`] === undefined) missing.set(name, version);
    }
  }
  return [...missing].map(([name, version]) => ({ name, version }));
}

/** The same lockfile with an entry for each missing platform build, in npm's order of names. */
export function completeLockfile(lock: Lockfile): Lockfile {
  const added = missingOptionals(lock).map(({ name, version }) => [
    `node_modules/${name}`,
    { version, ...platformOf(name), dev: true, optional: true },
  ]);
  const byName = (a: readonly unknown[], b: readonly unknown[]) => String(a[0]).localeCompare(String(b[0]), "en");
  return { ...lock, packages: Object.fromEntries([...Object.entries(lock.packages), ...added].sort(byName)) };
}

const CPUS = ["x64", "arm64", "ia32", "ppc64", "riscv64", "s390x", "loong64", "mips64el", "wasm32", "arm"];
const SYSTEMS = ["android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32", "aix"];

/** Reads `os`, `cpu` and `libc` from a platform package's name; without them npm would try to fetch it everywhere. */
export function platformOf(name: string): { readonly os?: string[]; readonly cpu: string[]; readonly libc?: string[] } {
  const words = name.split(/[/-]/);
  const cpu = words.find((word) => CPUS.includes(word));
  if (cpu === undefined) throw new Error(`no processor can be read from the package name ${name}`);
  const os = words.find((word) => SYSTEMS.includes(word));
  const musl = words.some((word) => word.startsWith("musl"));
  return {
    cpu: [cpu],
    ...(os === undefined ? {} : { os: [os] }),
    ...(os === "linux" ? { libc: [musl ? "musl" : "glibc"] } : {}),
  };
}

if (import.meta.main) {
  const file = path.resolve(import.meta.dirname, "../../package-lock.json");
  const lock: Lockfile = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, `${JSON.stringify(completeLockfile(lock), null, 2)}\n`);
  console.log(`${missingOptionals(lock).length} platform builds added to package-lock.json`);
}
