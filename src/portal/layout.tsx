// The frame of every page: head, navigation, foot. Everything comes from the gateway itself, and nothing is inline, so that
// the policy can forbid all else.

import type { ComponentChildren, VNode } from 'preact';
import { renderToString } from 'preact-render-to-string';
import type { Visitor } from './page.ts';

interface FrameProps {
  readonly base: string;
  /** Like `base`, for files: `portal.css` and the others lie below it. */
  readonly assets: string;
  readonly title: string;
  /** Where the page is, below `base`. */
  readonly path: string;
  /** Null for who has not signed in. */
  readonly visitor: Visitor | null;
  /** Whether the page asks for itself again after a while: what is wrong may pass. */
  readonly isTriedAgain?: boolean;
  readonly children: ComponentChildren;
}

const own = [
  ['/', 'Overview'],
  ['/history', 'History'],
  ['/keys', 'Keys'],
] as const;

const operators = [
  ['/admin/users', 'Users'],
  ['/admin/use', 'Use'],
  ['/admin/routes', 'Routes'],
  ['/admin/state', 'State'],
] as const;

/** A whole document. */
export function documentOf(props: FrameProps): string {
  return `<!doctype html>${renderToString(<Frame {...props} />)}`;
}

function Frame({ base, assets, title, path, visitor, isTriedAgain = false, children }: FrameProps): VNode {
  return (
    <html lang="en" data-base={base}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        {isTriedAgain && <meta http-equiv="refresh" content="5" />}
        <title>{`${title} · Tollgate`}</title>
        <link rel="icon" href={`${assets}/icon.svg`} type="image/svg+xml" />
        <link rel="stylesheet" href={`${assets}/portal.css`} />
        <script type="module" src={`${assets}/portal.js`} />
      </head>
      <body>
        <a class="skip" href="#main">
          To the content
        </a>
        <header class="top">
          <a class="brand" href={`${base}/`}>
            <img src={`${assets}/icon.svg`} alt="" width="28" height="28" />
            Tollgate
          </a>
          {visitor !== null && <Navigation base={base} path={path} isOperator={visitor.isOperator} />}
          {visitor !== null && <WhoIsIn base={base} visitor={visitor} />}
        </header>
        <main id="main" tabIndex={-1}>
          <h1>{title}</h1>
          {children}
        </main>
        <footer class="foot">Times and days are UTC.</footer>
        <div id="told" class="told" role="status" aria-live="polite" />
      </body>
    </html>
  );
}

function Navigation({ base, path, isOperator }: { base: string; path: string; isOperator: boolean }): VNode {
  const linkTo = ([to, label]: readonly [string, string]) => {
    const isHere = to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`);
    return (
      <li key={to}>
        <a href={base + to} aria-current={isHere ? 'page' : undefined}>
          {label}
        </a>
      </li>
    );
  };
  return (
    <nav aria-label="Pages">
      <ul>{own.map(linkTo)}</ul>
      {isOperator && <ul class="admin">{operators.map(linkTo)}</ul>}
    </nav>
  );
}

function WhoIsIn({ base, visitor }: { base: string; visitor: Visitor }): VNode {
  return (
    <div class="who">
      <span class="clip" title={visitor.email ?? visitor.name}>
        {visitor.email ?? visitor.name}
      </span>
      <form data-method="POST" data-path={`${base}/auth/logout`} data-then="leave">
        <button type="submit" class="quiet">
          Sign out
        </button>
      </form>
    </div>
  );
}
