// What people see in place of a page that cannot be shown: who has to sign in gets the door, everybody else is told what is
// wrong and what to do.

import type { FastifyRequest } from 'fastify';
import type { ComponentChildren, VNode } from 'preact';
import type { TollgateError } from '../errors.ts';
import { assetsPath } from './assets.ts';
import { documentOf } from './layout.tsx';
import type { PortalOptions } from './page.ts';
import { baseOf, returnToOf } from './place.ts';
import { Door } from './signed-out.tsx';

type FaultOptions = Pick<PortalOptions, 'config' | 'signInLinks'>;

/** The page in place of the one that was asked for. */
export async function faultPage(error: TollgateError, request: FastifyRequest, options: FaultOptions): Promise<string> {
  const base = baseOf(options.config);
  const assets = base + (await assetsPath());
  const { title, body } = faultOf(error, request, options);
  // Asked for again, the answer of a provider would be refused.
  const isTriedAgain = error.status === 503 && request.routeOptions.config.needsCaller !== undefined;
  const frame = { base, assets, title, path: '', visitor: null, isTriedAgain };
  return documentOf({ ...frame, children: body });
}

/** The page for who has not signed in. */
export async function doorPage(request: FastifyRequest, options: FaultOptions): Promise<string> {
  const base = baseOf(options.config);
  const assets = base + (await assetsPath());
  const children = <Door options={options} returnTo={returnToOf(base, request)} />;
  return documentOf({ base, assets, title: 'Credits for this API', path: '/', visitor: null, children });
}

function faultOf(error: TollgateError, request: FastifyRequest, options: FaultOptions): { title: string; body: VNode } {
  const base = baseOf(options.config);
  if (error.status === 401 && request.routeOptions.config.needsCaller !== undefined) {
    const isEnded = error.code === 'TG_AUTH_INVALID';
    const body = <Door options={options} returnTo={returnToOf(base, request)} />;
    return { title: isEnded ? 'Your session has ended' : 'Please sign in', body };
  }
  if (error.code === 'TG_STORE_UNAVAILABLE') {
    const body = (
      <Told base={base} code={error.code} requestId={request.id}>
        <p>
          Credits, history and keys are in a database that does not answer for the moment. Nothing is lost: what calls
          cost is kept until it is back.
        </p>
        {request.routeOptions.config.needsCaller !== undefined && (
          <p>This page tries again by itself every few seconds.</p>
        )}
      </Told>
    );
    return { title: 'The database is down', body };
  }
  const body = (
    <Told base={base} code={error.code} requestId={request.id}>
      <p>{error.message}</p>
    </Told>
  );
  return { title: titleOf(error), body };
}

function titleOf({ code, status }: TollgateError): string {
  if (code.startsWith('TG_SIGN_IN_') || code === 'TG_PROVIDER_UNAVAILABLE') return 'You are not signed in';
  return titles[status] ?? 'This did not work';
}

const titles: Readonly<Record<number, string>> = {
  400: 'This was not understood',
  403: 'You may not enter',
  404: 'There is nothing here',
  429: 'Too many attempts',
};

interface ToldProps {
  readonly base: string;
  readonly code: string;
  readonly requestId: string;
  readonly children: ComponentChildren;
}

function Told({ base, code, requestId, children }: ToldProps): VNode {
  return (
    <div class="card door">
      {children}
      <p>
        <a class="button" href={`${base}/`}>
          To the overview
        </a>
      </p>
      <p class="muted small">
        <code>{code}</code> · request <code>{requestId}</code>
      </p>
    </div>
  );
}
