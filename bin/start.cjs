// Starts the program of an installed package, or says which Node.js it needs. In words that an old Node.js understands.
"use strict";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 7)) {
  process.stderr.write(
    `lifeboat: needs Node.js 24.7 or newer, found ${process.version}. Install it (https://nodejs.org) and run the same command again.\n`,
  );
  process.exit(2);
}

// What is experimental in Node.js was chosen, and is not for whoever reads stderr at night. No option, which an old one refuses.
const tell = process.listeners("warning");
process.removeAllListeners("warning");
process.on("warning", (warning) => {
  if (warning.name !== "ExperimentalWarning") for (const each of tell) each(warning);
});

const program = "../dist/lifeboat.js";
void import(program);
