/**
 * Sees to it that a server which is started in a restored folder works in that folder, by rules of access that are there.
 *
 * Its configuration may say that the cluster lies elsewhere, in postgresql.conf or in a file that this one includes: in the data
 * directory of the cluster that the backup was taken of, which a server started by hand would recover and write to. Or it names files
 * of access rules that are not on this machine, without which no server starts.
 * Invariant: a restored folder can be copied or moved, and its server works where it lies then. So what says otherwise is taken out of
 * the files that lie in it; a line that names the folder, and holds the cluster to it, stands only against a file outside.
 * Source: PostgreSQL manual, "Configuration File Includes" and "File Locations".
 */
import path from "node:path";
import { isLifeboatError } from "../errors/error.ts";
import type { Files } from "../platform/files.ts";
import { quoted, type RecoveryFile, unquoted } from "./recovery-files.ts";

/** As deep as PostgreSQL follows includes. */
const INCLUDES_DEPTH_MAX = 10;

const SETTING =
  /^[ \t]*(data_directory|hba_file|ident_file|include|include_dir|include_if_exists)\b[ \t]*(?:=[ \t]*)?(?:'((?:[^'\\]|''|\\.)*)'|(?<=[\s=])([^\s#'=]+))/i;

/** What is to be changed in the configuration of a folder. */
export type OwnConfiguration = {
  /** The new content of files in it, by their absolute paths. */
  readonly rewritten: ReadonlyMap<string, Buffer>;
  /** To be added against what files outside of it say, or may say where they cannot be read here. */
  readonly added: readonly RecoveryFile[];
  /** Of files of access rules that are not on this machine: the setting, and what it named. The folder's own count now. */
  readonly missing: ReadonlyMap<string, string>;
  /** Of them, why it is not known that they are not: whoever restores may not look. A server of the same user could not read them. */
  readonly unseen: ReadonlyMap<string, string>;
};

/** One mention of a setting: a line of a file. */
type Said = { readonly file: string; readonly line: number; readonly name: string; readonly value: string };

/** Reads the configuration of a restored folder; changes nothing. Rejects as reading its own files does. */
export async function ownConfiguration(files: Files, dataFolder: string): Promise<OwnConfiguration> {
  const folder = path.resolve(dataFolder);
  const { lines, said, isUnread } = await new Reader(files, folder).read();
  const added: RecoveryFile[] = [];
  const changed = new Set<string>();
  const takeOut = (each: Said, why: string): void => {
    const content = lines.get(each.file) ?? [];
    content[each.line] = `# Taken out by lifeboat restore, ${why}: ${content[each.line]?.trimStart()}`;
    changed.add(each.file);
  };
  const elsewhere = said.filter(({ name, value }) => name === "data_directory" && value !== folder);
  for (const each of elsewhere.filter(({ file }) => isWithin(file, folder)))
    takeOut(each, "since this cluster lies here");
  if (isUnread || elsewhere.some(({ file }) => !isWithin(file, folder))) {
    added.push(ownLine("data_directory", folder, "says that this cluster lies elsewhere, or may say so"));
  }
  const missing = new Map<string, string>();
  const unseen = new Map<string, string>();
  for (const setting of ["hba_file", "ident_file"]) {
    const named = said.filter(({ name }) => name === setting);
    const value = named.at(-1)?.value ?? "";
    if (value === "") continue;
    const seen = await lookOutside(files, path.resolve(folder, value), folder);
    if (seen === "there") continue;
    missing.set(setting, value);
    if (seen !== "missing") unseen.set(setting, seen.why);
    const where = seen === "missing" ? "is not on this machine" : "could not be looked at";
    for (const each of named.filter(({ file }) => isWithin(file, folder))) takeOut(each, `that file ${where}`);
    if (named.every(({ file }) => isWithin(file, folder))) continue;
    added.push(ownLine(setting, path.join(folder, ownNameOf(setting)), `names another, which ${where}`));
  }
  const rewritten = [...changed].map(
    (file) => [file, Buffer.from((lines.get(file) ?? []).join("\n"), "latin1")] as const,
  );
  return { rewritten: new Map(rewritten), added, missing, unseen };
}

/** A file outside that may not be looked at is no reason to end a restore at its last step. */
async function lookOutside(
  files: Files,
  file: string,
  folder: string,
): Promise<"there" | "missing" | { readonly why: string }> {
  try {
    return (await files.stat(file)) === undefined ? "missing" : "there";
  } catch (error) {
    if (isWithin(file, folder) || !isLifeboatError(error) || error.kind === "bug") throw error;
    return { why: error.message };
  }
}

/** The name of a folder's own file of access rules. */
export function ownNameOf(setting: string): string {
  return `pg_${setting.replace("_file", "")}.conf`;
}

function isWithin(file: string, folder: string): boolean {
  return file === folder || file.startsWith(`${folder}${path.sep}`);
}

function ownLine(setting: string, value: string, what: string): RecoveryFile {
  const lines = [
    "",
    `# Added by lifeboat restore: a file outside of this folder that is included ${what}.`,
    "# When you move or copy this folder, change or remove this line.",
    `${setting} = '${quoted(value)}'`,
    "",
  ];
  return { path: "postgresql.conf", text: lines.join("\n"), how: "append", mode: 0o600 };
}

/** Follows a configuration as a server does. */
class Reader {
  readonly #files: Files;
  readonly #folder: string;
  readonly #lines = new Map<string, string[]>();
  readonly #said: Said[] = [];
  /** Whether there is a file outside of the folder that cannot be read. */
  #isUnread = false;

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  async read(): Promise<{ lines: Map<string, string[]>; said: readonly Said[]; isUnread: boolean }> {
    await this.#readFile(path.join(this.#folder, "postgresql.conf"), 0);
    return { lines: this.#lines, said: this.#said, isUnread: this.#isUnread };
  }

  async #readFile(file: string, depth: number): Promise<void> {
    if (depth > INCLUDES_DEPTH_MAX) return;
    const content = await this.#contentOf(file);
    if (content === undefined) return;
    // Byte by byte: comments may be in any encoding.
    const lines = content.toString("latin1").split("\n");
    this.#lines.set(file, lines);
    for (const [line, text] of lines.entries()) {
      const [, written = "", inQuotes, bare = ""] = SETTING.exec(text) ?? [];
      const name = written.toLowerCase();
      const value = Buffer.from(inQuotes === undefined ? bare : unquoted(inQuotes), "latin1").toString("utf8");
      const included = path.resolve(path.dirname(file), value);
      if (name === "include_dir")
        for (const each of await this.#filesIn(included)) await this.#readFile(each, depth + 1);
      else if (name.startsWith("include")) await this.#readFile(included, depth + 1);
      else if (name !== "") this.#said.push({ file, line, name, value });
    }
  }

  /** Undefined for one that is not there, and for one outside that cannot be read. */
  async #contentOf(file: string): Promise<Buffer | undefined> {
    try {
      // Reading something else than a file may never end, and a link may lead to it.
      if ((await this.#files.stat(file))?.kind === "file") return await this.#files.readFile(file);
    } catch (error) {
      if (isWithin(file, this.#folder) || !isLifeboatError(error)) throw error;
    }
    if (!isWithin(file, this.#folder)) this.#isUnread = true;
    return undefined;
  }

  async #filesIn(included: string): Promise<readonly string[]> {
    try {
      const names = (await this.#files.list(included)).map(({ name }) => name);
      return names
        .filter((name) => /^[^.].*\.conf$/.test(name))
        .sort()
        .map((name) => path.join(included, name));
    } catch (error) {
      const isHere = isWithin(included, this.#folder);
      if (!isLifeboatError(error) || (isHere && error.code !== "platform.file-missing")) throw error;
      if (!isHere) this.#isUnread = true;
      return [];
    }
  }
}
