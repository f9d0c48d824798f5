/**
 * Finds and reads the configuration file, and resolves all settings.
 *
 * Invariants: a file that was named must be there; one that was found by looking is used only when nobody else could
 * have put it there, because it can name commands that Lifeboat runs.
 */
import path from "node:path";
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import type { FileFacts, FileHandle } from "../platform/files.ts";
import { invalidConfig } from "./problem.ts";
import { configOf, type Resolution, resolveSettings } from "./resolve.ts";
import type { Config } from "./schema.ts";
import type { Place } from "./setting.ts";
import type { FileContent } from "./yaml-file.ts";

/** The name of the configuration file. */
export const CONFIG_FILE_NAME = "lifeboat.yaml";

/** The variable that names the configuration file; the flag `--config` goes before it. */
export const CONFIG_FILE_VARIABLE = "LIFEBOAT_CONFIG";

/** Where a system keeps the file for root. */
const SYSTEM_CONFIG_FOLDER = "/etc/lifeboat";

/** A configuration is a few kilobytes; more is a wrong file, of which a megabyte can keep the reader of YAML busy for minutes. */
const CONFIG_BYTES_MAX = 64 * 1024;

/** Names no configuration, also where one would be found. */
const NO_FILE = "/dev/null";

const OTHERS_MAY_WRITE = 0o022;

/** What reading the configuration needs of the files port. */
export interface ConfigFiles {
  open(file: string, mode: "read"): Promise<Pick<FileHandle, "read" | "stat" | "close">>;
  stat(file: string): Promise<FileFacts | undefined>;
}

/** Everything that was said from outside. */
export type LoadRequest = {
  /** The value of `--config`. */
  readonly configFile: string | undefined;
  readonly flags: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly place: Place;
  readonly workingFolder: string;
};

/** A resolution and the file it was made with; `file` is undefined when there is none. */
export type LoadedSettings = Resolution & { readonly file: string | undefined };

/** Reads and resolves. Rejects when the file cannot be read or is unsafe; mistakes in values are in `problems`. */
export async function loadSettings(files: ConfigFiles, request: LoadRequest): Promise<LoadedSettings> {
  const file = await findFile(files, request);
  const content = file === undefined ? undefined : await readFile(files, file, request);
  const resolution = resolveSettings({
    file: content,
    environment: request.environment,
    flags: request.flags,
    place: request.place,
    workingFolder: request.workingFolder,
  });
  return { ...resolution, file: file?.path };
}

/** The configuration, or `config.invalid` with every problem. */
export async function loadConfig(files: ConfigFiles, request: LoadRequest): Promise<Config> {
  const { rows, problems } = await loadSettings(files, request);
  if (problems.length > 0) throw invalidConfig(problems);
  return configOf(rows);
}

/** The folders that are looked into for the file, in this order, when none is named. */
export function searchedFolders(request: Pick<LoadRequest, "place" | "workingFolder">): readonly string[] {
  const { place, workingFolder } = request;
  return [workingFolder, place.uid === 0 ? SYSTEM_CONFIG_FOLDER : path.join(place.configHome, "lifeboat")];
}

type Found = { readonly path: string; readonly named: boolean };

async function findFile(files: ConfigFiles, request: LoadRequest): Promise<Found | undefined> {
  // `--config "$FILE"` with a variable that is not set: without a word, it would act on what the defaults name.
  if (request.configFile === "") {
    throw new LifeboatError("config.file-missing", {
      message: "--config names no file: its value is empty",
      remedy: "Name an existing file, or leave it out to use defaults, flags and variables.",
    });
  }
  const named = request.configFile ?? request.environment[CONFIG_FILE_VARIABLE];
  if (named !== undefined && named !== "") return { path: path.resolve(request.workingFolder, named), named: true };
  for (const folder of searchedFolders(request)) {
    const candidate = path.join(folder, CONFIG_FILE_NAME);
    const facts = await files.stat(candidate);
    if (facts === undefined) continue;
    if (!isOwnerTrusted(facts, request.place)) throw unsafe(candidate, `it belongs to user ${facts.uid}`);
    return { path: candidate, named: false };
  }
  return undefined;
}

async function readFile(
  files: ConfigFiles,
  found: Found,
  request: LoadRequest,
): Promise<FileContent & { readonly folder: string }> {
  const bytes = await readAll(files, found, request);
  let yaml: string;
  try {
    yaml = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw unreadable(found.path, "it is not UTF-8 text", cause);
  }
  // Only a command that has a file to read pays for loading the YAML parser (60 ms).
  const { readConfigText } = await import("./yaml-file.ts");
  const folder = path.dirname(found.path);
  return { ...readConfigText(yaml, shortName(found.path, request.workingFolder)), folder };
}

async function readAll(files: ConfigFiles, found: Found, request: LoadRequest): Promise<Buffer> {
  const handle = await openNamed(files, found.path);
  try {
    const facts = await handle.stat();
    if (facts.kind === "folder") throw unreadable(found.path, "it is a folder");
    // It has no size, and would be taken for an empty file. Who wants no file at all may say so by this name.
    if (facts.kind === "other" && found.path !== NO_FILE) throw unreadable(found.path, "it is a pipe or a device");
    if (facts.sizeBytes > CONFIG_BYTES_MAX) {
      throw unreadable(found.path, `it has ${facts.sizeBytes} bytes, more than ${CONFIG_BYTES_MAX}`);
    }
    if (!found.named && !isOwnerTrusted(facts, request.place)) {
      throw unsafe(found.path, `it belongs to user ${facts.uid}`);
    }
    if (!found.named && (facts.mode & OTHERS_MAY_WRITE) !== 0) {
      throw unsafe(found.path, `others may write it (mode ${facts.mode.toString(8)})`);
    }
    return await handle.read({ position: 0, length: facts.sizeBytes });
  } finally {
    await handle.close();
  }
}

async function openNamed(files: ConfigFiles, file: string): Promise<Pick<FileHandle, "read" | "stat" | "close">> {
  try {
    return await files.open(file, "read");
  } catch (cause) {
    if (!isLifeboatError(cause, "platform.file-missing")) throw cause;
    throw new LifeboatError("config.file-missing", {
      message: `the configuration file ${file} is not there`,
      remedy: `Name an existing file with --config or ${CONFIG_FILE_VARIABLE}, or leave both out to use defaults, flags and variables.`,
      cause,
    });
  }
}

function isOwnerTrusted(facts: FileFacts, place: Place): boolean {
  return facts.uid === place.uid || facts.uid === 0;
}

function unsafe(file: string, why: string): LifeboatError {
  return new LifeboatError("config.file-unsafe", {
    message: `the configuration file ${file} was found here, but ${why}, and it can name commands to run`,
    remedy: `Look at the file; if you trust it, name it with --config ${file}.`,
  });
}

function unreadable(file: string, why: string, cause?: unknown): LifeboatError {
  return new LifeboatError("config.file-unreadable", {
    message: `cannot read the configuration file ${file}: ${why}`,
    remedy: "Name a YAML text file with --config.",
    cause,
  });
}

function shortName(file: string, workingFolder: string): string {
  const relative = path.relative(workingFolder, file);
  return relative.startsWith("..") ? file : relative;
}
