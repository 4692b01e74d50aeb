// The page on which the demo's OpenID provider asks who signs in: one button for each of its people. It has no script
// and loads nothing, as its policy tells the browser too.

import { createHash } from 'node:crypto';

/** Standard claims of OpenID Connect; who has no name is shown by the subject. */
export interface PersonClaims {
  readonly name?: string;
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly picture?: string;
}

/** People by their subject. */
export type People = ReadonlyMap<string, PersonClaims>;

const style = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 22rem; margin: 12vh auto 2rem; padding: 0 1.25rem; }
h1 { font-size: 1.25rem; }
button { display: block; width: 100%; margin: 0.75rem 0; padding: 0.75rem 1rem; border-radius: 0.5rem; text-align: start;
  font: inherit; color: CanvasText; background: Canvas; cursor: pointer;
  border: 1px solid color-mix(in srgb, CanvasText 30%, Canvas); }
button:hover { background: color-mix(in srgb, CanvasText 6%, Canvas); }
small, footer { color: color-mix(in srgb, CanvasText 70%, Canvas); font-size: 0.875rem; }
small { display: block; overflow-wrap: anywhere; }
`;

/**
 * The fields that go with the pages. There is no `form-action`: browsers would apply it to the redirect that follows the
 * form, which leads back to whoever asked for the sign-in.
 */
export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; ` +
    "base-uri 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

/** Each button sends `subject` to where the page came from. */
export function choicePage(people: People): string {
  const buttons = [...people].map(([subject, { name = subject, email = '' }]) => {
    const address = email === '' ? '' : `<small>${escapeHtml(email)}</small>`;
    return `<button name="subject" value="${escapeHtml(subject)}">${escapeHtml(name)}${address}</button>`;
  });
  return page(
    'Sign in to the demo as',
    `<form method="post">\n${buttons.join('\n')}\n</form>
<footer>This identity provider is a part of the demo: it knows no passwords, and nobody else.</footer>`,
  );
}

/** For a sign-in that is no longer, or never was. */
export function lostPage(): string {
  return page('This sign-in has ended', '<p>Go back to where you came from, and start again.</p>');
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
