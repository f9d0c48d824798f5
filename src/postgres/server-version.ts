/**
 * The number a server gives its version as.
 *
 * Source: PostgreSQL manual, "Preset Options", server_version_num: 160014 is 16.14.
 */
const MAJOR_STEP = 10_000;

/** Majors that are protected, and the first minor of each whose commits always wait for standbys after a start (rule B6). */
const FIRST_SAFE_MINOR: ReadonlyMap<number, number> = new Map([
  [15, 13],
  [16, 9],
  [17, 5],
  [18, 0],
]);

/** The major version: 16 of 160014. */
export function majorOf(serverVersion: number): number {
  return Math.floor(serverVersion / MAJOR_STEP);
}

/** The minor version: 14 of 160014. */
export function minorOf(serverVersion: number): number {
  return serverVersion % MAJOR_STEP;
}

/** `PostgreSQL 16.14` */
export function describeVersion(serverVersion: number): string {
  return `PostgreSQL ${majorOf(serverVersion)}.${minorOf(serverVersion)}`;
}

/** The first minor version of this major whose commits wait for standbys right after a start too; undefined when the major is not supported. */
export function firstSafeMinor(serverVersion: number): string | undefined {
  const major = majorOf(serverVersion);
  const minor = FIRST_SAFE_MINOR.get(major);
  return minor === undefined ? undefined : `${major}.${minor}`;
}

/** Whether commits right after a start wait for standbys (rule B6). False for a major that is not supported. */
export function commitsWaitAfterStart(serverVersion: number): boolean {
  const first = FIRST_SAFE_MINOR.get(majorOf(serverVersion));
  return first !== undefined && minorOf(serverVersion) >= first;
}
