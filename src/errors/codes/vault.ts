import { defineErrors, EXIT } from "../entry.ts";

export const vaultErrors = defineErrors({
  "vault.wrong-key": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The passphrase or recovery key does not open this vault.",
  },
  "vault.key-missing": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "An object was sealed with a data key that the given passphrase or recovery key does not open.",
  },
  "vault.age-unusable": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "An age recipient or identity file is not one that can be used.",
  },
  "vault.identity-unpinned": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The identity file does not name a data key of this vault as the one to trust.",
  },
  "vault.key-needed": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Removing the wrap would leave a data key that the given secret could not be shown to open.",
  },
  "vault.keys-unopened": {
    kind: "operator",
    exit: EXIT.refused,
    meaning:
      "A passphrase cannot take the place of others: the vault was opened with a secret that a rotation left out.",
  },
  "vault.keys-changed": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "Somebody else changed the keys of the vault meanwhile; the command did not do all of what it was asked.",
  },
  "vault.wrap-unknown": { kind: "operator", exit: EXIT.notFound, meaning: "The vault has no key wrap of this name." },
  "vault.not-encrypted": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The vault is not encrypted: it has no keys to manage.",
  },
  "vault.keys-full": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The vault has as many data keys as it may have.",
  },
  "vault.recovery-key-malformed": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The recovery key was not typed as it was printed.",
  },
  "vault.not-a-vault": { kind: "operator", exit: EXIT.notFound, meaning: "The store holds no vault." },
  "vault.marker-lost": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "The store holds keys and backups of a vault, and not the file with its id, without which no key opens.",
  },
  "vault.exchanged": {
    kind: "world",
    exit: EXIT.world,
    meaning: "Another vault, an older copy or none lies where the one was that is open; nothing is stored there.",
  },
  "vault.already-a-vault": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The store already holds a vault; nothing was changed.",
  },
  "vault.folder-not-empty": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The folder where a vault was to be made holds other files; nothing was changed.",
  },
  "vault.format-unknown": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The vault was written by a later version of Lifeboat.",
  },
  "vault.object-damaged": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "An object of the vault is not what was stored: cut, changed, swapped or moved.",
  },
  "vault.object-missing": {
    kind: "world",
    exit: EXIT.damaged,
    meaning: "An object that the vault's own records name is not there.",
  },
  "vault.history-contradicted": {
    kind: "operator",
    exit: EXIT.refused,
    meaning: "The history that was given to a repair is not that of the timeline: what the vault holds contradicts it.",
  },
  "vault.system-unclear": {
    kind: "operator",
    exit: EXIT.usage,
    meaning: "The vault holds no database system, or several, and the one that is meant was not named.",
  },
  "vault.backup-unknown": {
    kind: "operator",
    exit: EXIT.notFound,
    meaning: "The vault has no announced backup of this name.",
  },
  "vault.backup-abandoned": {
    kind: "world",
    exit: EXIT.world,
    meaning: "The backup took so long that a prune took it for left behind.",
  },
});
