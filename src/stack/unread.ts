/**
 * Marks of configuration that was written and that whoever runs with it may not have read yet: a start-up that was cut short in
 * between is made good by the next one, which would else find every file as described. docs/formats/stack-unread.md.
 *
 * A mark is there before the file is written, and goes when its programs have read it. It is not synced: after a power cut nothing
 * runs that could have read something older.
 */
import path from "node:path";
import { replaceVolatile } from "../platform/durable.ts";
import type { Files } from "../platform/files.ts";
import type { RandomSource } from "../platform/random.ts";
import { COMPONENT_NAMES, type ComponentName } from "./component-names.ts";
import type { StackDescription } from "./stack.ts";

const PRIVATE_MODE = 0o700;
const MARK = '{"format":"lifeboat-stack-unread","version":1}\n';

type Stack = Pick<StackDescription, "place">;

/** Components that may run with files that were replaced since. */
export async function unreadComponents(files: Files, { place }: Stack): Promise<readonly ComponentName[]> {
  if ((await files.stat(place.unread)) === undefined) return [];
  const names = new Set((await files.list(place.unread)).map(({ name }) => name));
  return COMPONENT_NAMES.filter((name) => names.has(name));
}

/** Marks a component. Repeatable. */
export async function markUnread(
  { files, random }: { readonly files: Files; readonly random: RandomSource },
  { place }: Stack,
  component: ComponentName,
): Promise<void> {
  await files.makeFolder(place.unread, PRIVATE_MODE);
  const unique = random(8).toString("hex");
  const file = path.join(place.unread, component);
  await replaceVolatile(files, { file, bytes: Buffer.from(MARK), unique, permissions: 0o600 });
}

/** Its programs have read what there is. Repeatable. */
export async function markRead(files: Files, { place }: Stack, component: ComponentName): Promise<void> {
  await files.remove(path.join(place.unread, component));
}
