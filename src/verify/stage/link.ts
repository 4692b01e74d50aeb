// A wire to the database that can be cut, fall silent or refuse: one gateway's connections pass through one of these. A
// silent wire is what a lost network is like: connections stay open, new ones are taken, and nothing ever answers.

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** `refused`: nobody listens; `silent`: what is sent is taken and never arrives. */
export type LinkState = 'whole' | 'silent' | 'refused';

export class Link {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #state: LinkState = 'whole';

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  static async open(target: { host: string; port: number }): Promise<Link> {
    const link = new Link(target);
    await link.#listen();
    return link;
  }

  get port(): number {
    return this.#port;
  }

  /** Ends every connection; new ones pass. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async set(state: LinkState): Promise<void> {
    this.#state = state;
    if (state === 'refused') await this.#stopListening();
    // What fell silent stays so: packets that were lost do not come after all.
    if (state !== 'silent') this.cut();
    if (state === 'silent') for (const socket of this.#sockets) silence(socket);
    if (state !== 'refused' && !this.#server.listening) await this.#listen();
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.#stopListening();
    this.cut();
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  #stopListening(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.cut();
    });
  }

  #join(near: Socket): void {
    this.#keep(near);
    if (this.#state === 'silent') {
      silence(near);
      return;
    }
    const far = connect({ ...this.#target, noDelay: true });
    near.setNoDelay(true);
    this.#keep(far);
    const drop = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.once('close', drop);
    near.pipe(far).pipe(near);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

function silence(socket: Socket): void {
  socket.unpipe();
  socket.removeAllListeners('data');
  socket.resume();
}
