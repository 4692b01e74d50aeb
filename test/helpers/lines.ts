// A line to a database that a test can reset, cut or silence: a TCP proxy in between.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

export interface Line {
  /** The database's address, through the line. */
  readonly url: string;
  /** How many are connected. */
  connections(): number;
  /** Ends what is connected; whoever comes gets in. */
  reset(): void;
  /** Ends what is connected, and refuses whoever comes. */
  cut(): Promise<void>;
  /** Nothing passes any more, either way. What is connected stays so; whoever comes gets in and is never answered. */
  silence(): void;
  /** Falls silent as soon as somebody says this: it still arrives, and is not answered. */
  silenceAt(said: string): void;
  /** Ends a silence or a cut. What was said in a silence arrives now, as when a network finds itself again. */
  heal(): Promise<void>;
}

/** A connection to the line, and from it to the database; null where the silence came first. */
interface Link {
  readonly near: Socket;
  far: Socket | null;
}

/** Listens on a free port until it is cut, or the test ends. */
export async function openLine(t: Test, target: URL): Promise<Line> {
  const links = new Set<Link>();
  let isSilent = false;
  let silencedBy: string | null = null;
  const server = createServer({ pauseOnConnect: true }, (near) => {
    const link: Link = { near, far: null };
    links.add(link);
    near.on('error', () => drop(link)).on('close', () => links.delete(link));
    if (!isSilent) join(link);
  });
  const join = (link: Link) => {
    link.far ??= connect(Number(target.port), target.hostname).on('error', () => drop(link));
    // Before the pipe, which passes on what it is given now.
    link.near.removeListener('data', listen).on('data', listen);
    link.near.pipe(link.far).pipe(link.near);
  };
  const listen = (said: Buffer) => {
    if (silencedBy === null || !said.includes(silencedBy)) return;
    silencedBy = null;
    silence();
  };
  const drop = ({ near, far }: Link) => {
    near.resetAndDestroy();
    far?.destroy();
  };
  const open = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const reset = () => {
    for (const link of links) drop(link);
  };
  const cut = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    reset();
    await closed;
  };
  const silence = () => {
    isSilent = true;
    for (const { near, far } of links) {
      if (far === null) continue;
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  };
  const silenceAt = (said: string) => {
    silencedBy = said;
  };
  const heal = async () => {
    if (!server.listening) await open(port);
    isSilent = false;
    for (const link of links) join(link);
  };
  const port = await open(0);
  t.teardown(cut);
  const { href: url } = Object.assign(new URL(target), { host: `127.0.0.1:${port}` });
  return { url, connections: () => links.size, reset, cut, silence, silenceAt, heal };
}
