// A real browser on a page of an upstream that shares its origin with sign-in, and wants a service worker.

import type { RequestListener } from 'node:http';
import t, { type Test } from 'tap';
import { openBrowser } from '../helpers/browser.ts';
import { type Settings, startTestGateway } from '../helpers/gateways.ts';
import { signInSettings } from './sign-in-settings.ts';

const routes = '  - { path: /, upstream: api, auth: none }';

const answer: RequestListener = ({ url }, response) => {
  if (url === '/') response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>Page</title>');
  else response.writeHead(200, { 'Content-Type': 'text/javascript' }).end('// A script.');
};

const browser = await openBrowser(t);

/** Runs a script on the page; it is an expression for a promise of a text. */
async function runOnPage(t: Test, settings: Settings, script: string): Promise<unknown> {
  const gate = await startTestGateway(t, 'sqlite', routes, answer, settings);
  const context = await browser.newContext();
  t.teardown(() => context.close());
  const page = await context.newPage();
  await page.goto(gate.gateway.address);
  return page.evaluate(script);
}

const register = `navigator.serviceWorker.register('/worker.js').then(() => 'registered', (error) => error.message)`;

t.test('a page beside sign-in gets no service worker', async (t) => {
  t.match(await runOnPage(t, signInSettings, register), /bad HTTP response code \(403\)/);
});

t.test('without sign-in it gets one', async (t) => {
  t.equal(await runOnPage(t, {}, register), 'registered');
});
