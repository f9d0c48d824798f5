/** Whose turn it is when an error of this kind is raised. */
export type ErrorKind = "operator" | "world" | "bug";

/** What the registry holds of one code. `meaning` is the sentence in docs/errors.md. */
export type ErrorEntry = {
  readonly kind: ErrorKind;
  readonly exit: ExitStatus;
  readonly meaning: string;
};

/** Process exit statuses. 0 is success; statuses from 2 to 125 leave 126 and above to the shell and to `restore_command`. */
export const EXIT = {
  bug: 70,
  usage: 2,
  refused: 3,
  notFound: 4,
  damaged: 5,
  world: 6,
  interrupted: 130,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** Types the rows of one concept; the keys stay literal. */
export function defineErrors<const T extends Record<string, ErrorEntry>>(rows: T): T {
  return rows;
}
