/** What the verbs look at in a vault's folder before they open it. */
import { isLifeboatError, LifeboatError } from "../errors/error.ts";
import { markerLost } from "../vault/marker.ts";
import { MACHINE } from "./engine-machine.ts";

/** What may lie in a folder where a vault is made: what an earlier attempt left, and what a new file system brings along. */
const HARMLESS: ReadonlySet<string> = new Set(["tmp", "keys", "programs", "vault.json", "lost+found"]);

/** What a vault has beside its keys as soon as it was of use. */
const VAULT_DATA: ReadonlySet<string> = new Set(["backups", "packs", "wal"]);

/** How many names an error shows. */
const NAMES_SHOWN_MAX = 3;

/** Throws `vault.folder-not-empty` when the folder holds files that are no vault's, `vault.marker-lost` when it holds those of one. */
export async function refuseOtherFiles(folder: string): Promise<void> {
  const facts = await MACHINE.files.stat(folder);
  if (facts === undefined || facts.kind !== "folder") return;
  const names = (await MACHINE.files.list(folder)).map((entry) => entry.name);
  const others = names.filter((name) => !HARMLESS.has(name));
  // A whole vault has other folders too; that it is one is told by initVault.
  if (others.length === 0 || names.includes("vault.json")) return;
  if (names.includes("keys") && others.some((name) => VAULT_DATA.has(name))) throw markerLost(folder);
  const shown = others.slice(0, NAMES_SHOWN_MAX).join(", ");
  const more = others.length > NAMES_SHOWN_MAX ? ` and ${others.length - NAMES_SHOWN_MAX} more` : "";
  throw new LifeboatError("vault.folder-not-empty", {
    message: `${folder} is not empty: it holds ${shown}${more}`,
    remedy: "Give the vault a folder of its own: empty, or not there yet.",
  });
}

/** Says of a folder without a store what it means for who looks for a vault: `vault.not-a-vault`. Other errors pass. */
export function explainNoVault(folder: string): (cause: unknown) => Promise<never> {
  return async (cause) => {
    if (!isLifeboatError(cause, "store.not-a-store")) throw cause;
    const there = (await MACHINE.files.stat(folder)) !== undefined;
    throw new LifeboatError("vault.not-a-vault", {
      message: there ? `${folder} holds no vault` : `there is no folder ${folder}`,
      remedy:
        "Check vault.path (`lifeboat config explain`) and that its disk is mounted; `lifeboat vault init` makes a new vault; a copy of one needs an empty folder tmp in it.",
      cause,
    });
  };
}
