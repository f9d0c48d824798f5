/** `lifeboat vault key`: who can open the vault. */
import type { Config } from "../config/schema.ts";
import { choice, location, text } from "../config/value-kind.ts";
import type { AddedHolder, KeyList, Rotation } from "../vault/key-ring.ts";
import { usageError } from "./failure.ts";
import type { Style } from "./style.ts";
import { renderTable } from "./table.ts";
import {
  defineVerb,
  optional,
  required,
  type Session,
  toggle,
  type Verb,
  type VerbResult,
  withDefault,
} from "./verb.ts";

type Call = { readonly config: Config; readonly session: Session };

/** Who is added: a passphrase from a file, an age recipient, or a new recovery key. */
export type HolderChoice =
  | { readonly kind: "passphrase-file"; readonly file: string }
  | { readonly kind: "age"; readonly recipient: string }
  | { readonly kind: "recovery-key" };

/** What the verb can do with the keys of the configured vault. */
export type KeyEngine = {
  readonly list: (call: Call) => Promise<KeyList>;
  readonly add: (call: Call & { readonly holder: HolderChoice; readonly label: string }) => Promise<AddedHolder>;
  readonly remove: (
    call: Call & { readonly wrapId: string },
  ) => Promise<{ readonly kind: string; readonly wrapCount: number }>;
  /** Asks for the new passphrase where no file is given. */
  readonly rewrap: (
    call: Call & { readonly passphraseFile: string | undefined; readonly label: string },
  ) => Promise<{ readonly added: AddedHolder; readonly removed: readonly string[] }>;
  readonly rotate: (call: Call) => Promise<Rotation>;
};

/** `vault key`. */
export function vaultKeyVerb(engine: KeyEngine): Verb {
  return defineVerb({
    path: ["vault", "key"],
    summary: "Show and change who can open the vault",
    description:
      "list shows who can open the vault. add lets one more passphrase (--passphrase-file), age recipient (--age) or new " +
      "recovery key (--recovery-key) open it. remove takes one away: only what you can open without it. rewrap puts a new " +
      "passphrase in the place of all old ones. rotate makes a new data key for new objects; what is stored stays as it is " +
      "and opens as before. The vault is opened as configured, and nothing stored is sealed again.",
    arguments: {
      action: required(choice(["list", "add", "remove", "rewrap", "rotate"]), "What to do."),
      wrap: optional(text("WRAP"), "For remove: the wrap, as list shows it."),
    },
    options: {
      passphraseFile: optional(location("file"), "For add and rewrap: file that holds the new passphrase."),
      age: optional(text("RECIPIENT"), "For add: an age recipient, age1…."),
      recoveryKey: toggle("For add: a new recovery key, printed once."),
      label: withDefault(text("TEXT"), "no label", "For add and rewrap: a note shown by list."),
    },
    configuration: { kind: "checked", sections: ["vault"] },
    examples: [
      { line: "lifeboat vault key list", does: "Who can open the vault?" },
      { line: "lifeboat vault key add --age age1… --label 'safe of the office'", does: "An age recipient more." },
      { line: "lifeboat vault key rewrap", does: "Asks for a new passphrase; the old ones no longer open it." },
      { line: "lifeboat vault key remove 9f3a61c2b1d04e77", does: "As listed." },
      { line: "lifeboat vault key rotate", does: "New objects get a new data key." },
    ],
    run: async ({ arguments: { action, wrap }, options, session }) => {
      if ((action === "remove") !== (wrap !== undefined)) {
        throw usageError(
          `WRAP belongs to remove, and was ${wrap === undefined ? "not given" : `given to ${action}`}`,
          HELP,
        );
      }
      const call = { config: await session.config(), session };
      if (action === "list") return listResult(await engine.list(call), session.style);
      if (action === "rotate") return rotateResult(await engine.rotate(call), session.style);
      if (action === "remove") return removeResult(wrap ?? "", await engine.remove({ ...call, wrapId: wrap ?? "" }));
      const label = options.label === "no label" ? "" : options.label;
      if (action === "add") {
        return addResult(await engine.add({ ...call, holder: holderOf(options), label }), session.style);
      }
      const done = await engine.rewrap({ ...call, passphraseFile: options.passphraseFile, label });
      const lines = [`The new passphrase opens the vault. Removed: ${done.removed.join(", ") || "nothing"}.`];
      return { json: done, text: [...lines, ...partLines(done.added, session.style)].join("\n") };
    },
  });
}

const HELP = "See `lifeboat vault key --help`.";

function holderOf(options: {
  readonly passphraseFile: string | undefined;
  readonly age: string | undefined;
  readonly recoveryKey: boolean;
}): HolderChoice {
  const choices: HolderChoice[] = [];
  if (options.passphraseFile !== undefined) choices.push({ kind: "passphrase-file", file: options.passphraseFile });
  if (options.age !== undefined) choices.push({ kind: "age", recipient: options.age });
  if (options.recoveryKey) choices.push({ kind: "recovery-key" });
  const [only] = choices;
  if (only !== undefined && choices.length === 1) return only;
  throw usageError(`add takes one of --passphrase-file, --age and --recovery-key, ${choices.length} were given`, HELP);
}

function listResult(list: KeyList, style: Style): VerbResult {
  const columns = ["wrap", "kind", "made", "data keys", "proven", "label"].map((title) => ({
    title,
    align: "left" as const,
  }));
  const rows = list.holders.map((holder) => [
    holder.wrapId,
    holder.kind,
    holder.createdAt,
    `${holder.dataKeyCount} of ${list.dataKeyCount}${holder.opensNewest ? "" : ", not the newest"}`,
    holder.proven ? "yes" : "no",
    holder.label ?? "",
  ]);
  const parts = [renderTable(columns, rows, style)];
  if (list.unreadable.length > 0) parts.push(style.warning(`Cannot be read: ${list.unreadable.join(", ")}`));
  return { json: list, text: parts.join("\n\n") };
}

function addResult(added: AddedHolder, style: Style): VerbResult {
  const lines = [`Added the wrap ${added.wrapId}.`, ...partLines(added, style)];
  if (added.recoveryKey !== undefined) lines.push(...recoveryLines(added.recoveryKey, style));
  if (added.pin !== undefined) {
    lines.push("", "Append this line to the identity file; without it the vault does not open by it:", added.pin);
  }
  return { json: added, text: lines.join("\n") };
}

/** What a holder lacks that was added by one whom a rotation left out. */
function partLines(added: AddedHolder, style: Style): readonly string[] {
  const { dataKeyCount, allDataKeyCount, opensNewest } = added;
  if (dataKeyCount === allDataKeyCount) return [];
  const newest = opensNewest ? "" : ", not the newest";
  return [
    style.warning(
      `It opens ${dataKeyCount} of ${allDataKeyCount} data keys${newest}: what is sealed with the others stays closed.`,
    ),
    "For one that opens all, open the vault with a secret that does; `lifeboat vault key list` shows how many each opens.",
  ];
}

function removeResult(wrapId: string, removed: { readonly kind: string; readonly wrapCount: number }): VerbResult {
  const text = [
    `Removed the ${removed.kind} ${wrapId}.`,
    "Who kept a copy of the vault and that secret can still read what was sealed so far; for new objects: lifeboat vault key rotate.",
  ].join("\n");
  return { json: { wrapId, ...removed }, text };
}

function rotateResult(rotation: Rotation, style: Style): VerbResult {
  const lines = [`New objects are sealed with data key ${rotation.keyId}.`];
  if (rotation.recoveryKey !== undefined) lines.push(...recoveryLines(rotation.recoveryKey, style));
  const { dataKeyCount, allDataKeyCount, recoveryKey } = rotation;
  if (dataKeyCount < allDataKeyCount) {
    const which = recoveryKey === undefined ? "The" : "This";
    lines.push(
      "",
      style.warning(
        `${which} recovery key opens ${dataKeyCount} of ${allDataKeyCount} data keys: what is sealed with the others stays closed.`,
      ),
      "An age identity whose file names one of the others goes on sealing with that. Rotate with a secret that opens all.",
    );
  }
  if (rotation.pin !== undefined) {
    lines.push(
      "",
      "Append this line to every identity file of this vault, behind the earlier ones, and leave those. Without it who left and can write to the vault can have an identity's host seal with a key that he knows:",
      rotation.pin,
    );
  }
  if (rotation.leftOut.length > 0) {
    lines.push("", style.warning(`These open what was stored so far and nothing new: ${rotation.leftOut.join(", ")}.`));
    lines.push("Add each anew with `lifeboat vault key add`, and remove the old one.");
  }
  return { json: rotation, text: lines.join("\n") };
}

function recoveryLines(recoveryKey: string, style: Style): readonly string[] {
  return [
    "",
    `Recovery key: ${style.strong(recoveryKey)}`,
    "It is shown once and kept nowhere. Store it apart from the vault.",
  ];
}
