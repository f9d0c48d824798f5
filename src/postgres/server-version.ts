/**
 * The number a server gives its version as.
 *
 * Source: PostgreSQL manual, "Preset Options", server_version_num: 160014 is 16.14.
 */
const MAJOR_STEP = 10_000;

/** The major version: 16 of 160014. */
export function majorOf(serverVersion: number): number {
  return Math.floor(serverVersion / MAJOR_STEP);
}

/** The minor version: 14 of 160014. */
export function minorOf(serverVersion: number): number {
  return serverVersion % MAJOR_STEP;
}
