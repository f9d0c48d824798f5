/** Files for tests that survive no power cut. */
import { type Files, systemFiles } from "../../src/platform/files.ts";

/** The machine's files without syncs: a test that writes the same folder a hundred times survives no power cut. */
export const unsyncedFiles: Files = {
  ...systemFiles,
  syncFolder: async () => undefined,
  syncFileSystem: async () => undefined,
  open: async (file, mode, permissions) => {
    const handle = await systemFiles.open(file, mode, permissions);
    return {
      read: (at) => handle.read(at),
      write: (data, position) => handle.write(data, position),
      writeNow: (data, position) => handle.writeNow(data, position),
      writeParts: (parts) => handle.writeParts(parts),
      truncate: (lengthBytes) => handle.truncate(lengthBytes),
      sync: async () => undefined,
      writeBack: async () => undefined,
      syncNow: () => undefined,
      stat: () => handle.stat(),
      close: () => handle.close(),
    };
  },
};
