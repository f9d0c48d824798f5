/** What `vault key` does. */
import { readSecretFile } from "../config/secrets.ts";
import { LifeboatError } from "../errors/error.ts";
import {
  addHolder,
  listKeys,
  type NewHolder,
  removeHolder,
  rewrapPassphrase,
  rotateDataKey,
} from "../vault/key-ring.ts";
import { secretTools, vaultSecret, vaultTools } from "./compose.ts";
import type { HolderChoice, KeyEngine } from "./vault-key.ts";

type Call = Parameters<KeyEngine["list"]>[0];

/** Lists and changes the keys of the configured vault. */
export const keyEngine: KeyEngine = {
  list: async (call) => listKeys(await vaultTools(call, "read"), await vaultSecret(call, "known"), optionsOf(call)),
  add: async (call) => {
    const holder = await holderOf(call, call.holder);
    const add = { holder, label: call.label };
    return addHolder(await toolsToWrite(call), await vaultSecret(call, "known"), add, optionsOf(call));
  },
  remove: async (call) =>
    removeHolder(await toolsToWrite(call), await vaultSecret(call, "known"), call.wrapId, optionsOf(call)),
  rewrap: async (call) => {
    const tools = await toolsToWrite(call);
    const secret = await vaultSecret(call, "known");
    const passphrase = await newPassphrase(call, call.passphraseFile);
    return rewrapPassphrase(tools, secret, { passphrase, label: call.label }, optionsOf(call));
  },
  rotate: async (call) => rotateDataKey(await toolsToWrite(call), await vaultSecret(call, "known"), optionsOf(call)),
};

function optionsOf({ session }: Call) {
  return { signal: session.signal };
}

/** For reading first: to open one for writing makes its folder. */
async function toolsToWrite(call: Call) {
  await vaultTools(call, "read");
  return vaultTools(call, "write");
}

async function holderOf(call: Call, holder: HolderChoice): Promise<NewHolder> {
  if (holder.kind !== "passphrase-file") return holder;
  return { kind: "passphrase", passphrase: await newPassphrase(call, holder.file) };
}

async function newPassphrase(call: Call, file: string | undefined): Promise<string> {
  const what = "the vault's new passphrase";
  if (file !== undefined) return readSecretFile(file, what, await secretTools(call, "new"));
  const { prompt } = call.session;
  if (prompt !== undefined) return prompt.newSecret("New passphrase of the vault: ");
  throw new LifeboatError("config.secret-missing", {
    message: `${what} is not given, and there is no terminal to ask at`,
    remedy: "Give it with --passphrase-file.",
  });
}
