// A real browser for tests, from npm alone: Chromium is unpacked for the test and goes with it, so that test files can
// run side by side and an interrupted run leaves no half a browser behind for the next.

import chromium from '@sparticuz/chromium';
import { type Browser, chromium as launcher } from 'playwright-core';
import type { Test } from 'tap';
import { temporaryFolder } from './databases.ts';

/**
 * It may reach the loopback and nothing else; names below `localhost` are the loopback too, so that a test can have several
 * hosts, and those below `plain.example` are to the browser hosts of the network, which it trusts less without TLS. As root, as in containers, Chromium runs only without its sandbox.
 */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP *.plain.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

/** Launches a headless browser; it is closed at the end of the test. Costs some three seconds. */
export async function openBrowser(t: Test): Promise<Browser> {
  const folder = await temporaryFolder(t);
  const browser = await launcher.launch({ executablePath: await unpackInto(folder), args });
  t.teardown(() => browser.close());
  return browser;
}

/** It unpacks into the folder of temporary files, and takes what lies there already for whole. */
async function unpackInto(folder: string): Promise<string> {
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = folder;
  try {
    return await chromium.executablePath();
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  }
}
