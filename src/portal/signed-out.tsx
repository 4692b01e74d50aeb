// The way in: what this is, and whom one can sign in with.

import type { VNode } from 'preact';
import { countText } from './format.ts';
import type { PortalOptions } from './page.ts';

interface DoorProps {
  readonly options: Pick<PortalOptions, 'config' | 'signInLinks'>;
  /** Where somebody gets to who has signed in. */
  readonly returnTo: string;
}

/** One button for each provider. */
export function Door({ options: { config, signInLinks }, returnTo }: DoorProps): VNode {
  const links = signInLinks(returnTo);
  const credits = config.plans[config.defaultPlan]?.startingCredits ?? 0;
  if (links.length === 0) {
    return (
      <div class="card door">
        <p>
          Calls to this API cost credits. Nobody can sign in here yet: the operator can name providers in{' '}
          <code>auth.providers</code>. Calls are made with API keys.
        </p>
      </div>
    );
  }
  return (
    <div class="card door">
      <p class="lead">
        Calls to this API cost credits, and only calls that succeed do. Sign in to see what you have left, where it
        went, and to make API keys.
      </p>
      <ul class="providers">
        {links.map(({ label, url }) => (
          <li key={url}>
            <a class="button wide" href={url}>
              {`Sign in with ${label}`}
            </a>
          </li>
        ))}
      </ul>
      {credits > 0 && (
        <p class="muted">{`Who signs in for the first time begins with ${countText(credits, 'credit')}.`}</p>
      )}
    </div>
  );
}
