// Replaces `${NAME}`, `${NAME:-default}` and `${file:PATH}` in the source text of one scalar, once: what was put in
// is never scanned again, so a secret that holds `${` stays as it is. `$$` is a dollar; any other dollar stays.

/** Where replacements come from. */
export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a file as text; throws as node:fs does. */
  readonly readFile: (path: string) => string;
}

/** The text after replacement, what it was made of (`PORT`, `file:/run/secrets/x`), and what could not be replaced. */
export interface Substitution {
  readonly text: string;
  readonly names: readonly string[];
  readonly failures: readonly { readonly message: string; readonly remedy: string }[];
}

/** Replaces all variables of one scalar. A failure names the variable, never a value. */
export function substitute(source: string, sources: Sources): Substitution {
  const names: string[] = [];
  const failures: { message: string; remedy: string }[] = [];
  const fail = (message: string, remedy: string): string => {
    failures.push({ message, remedy });
    return '';
  };

  const text = source.replace(/\$(?:\$|\{([^}]*)(\}?))/g, (whole, inner: string | undefined, end: string) => {
    if (whole === '$$') return '$';
    const match = /^(?:file:(.+)|([A-Za-z_][A-Za-z0-9_]*)(:-.*)?)$/s.exec(inner ?? '');
    if (!match || end === '') {
      return fail(
        'has a dollar and brace that begin no variable',
        'Write a name, NAME:-default or file:PATH within the braces, or $$ for a dollar that is meant as one',
      );
    }
    const [, path, name = '', fallback] = match;
    names.push(path === undefined ? name : `file:${path}`);
    if (path !== undefined) return readContent(path, sources, fail);
    return lookUp(name, fallback?.slice(2), sources, fail);
  });
  return { text, names, failures };
}

type Fail = (message: string, remedy: string) => string;

/** As in shells: an empty variable is a value for `${X}`, but takes the default of `${X:-default}`. */
function lookUp(name: string, fallback: string | undefined, { env }: Sources, fail: Fail): string {
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
  return value ?? fail(`needs the variable ${name}, which is not set`, `Set ${name}, or write \${${name}:-default}`);
}

function readContent(path: string, { readFile }: Sources, fail: Fail): string {
  try {
    return readFile(path).replace(/\r?\n$/, '');
  } catch (error) {
    return fail(`needs the file ${path}, which ${whyUnreadable(error)}`, 'Create it, or let this user read it');
  }
}

/** Why a file could not be read, to follow its name: "does not exist". */
export function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EISDIR') return 'is a folder';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read';
  return `cannot be read (${String(code ?? 'unknown error')})`;
}
