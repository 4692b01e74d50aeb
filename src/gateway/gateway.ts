// A call on a route, from its hold to its outcome: the cost is held, the call forwarded, and the hold resolved by what
// upstream and caller did. `request.matched` and `request.user` have been found by then.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Route } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import type { Hold } from '../meter/meter.ts';
import { costOf } from '../pricing.ts';
import { Call, type CallMeter } from './call.ts';
import { cutAnswer, isEndedHere } from './due-answers.ts';
import { type ForwardingOptions, forwarding } from './forwarding.ts';
import { acceptUpgrades } from './upgrade.ts';
import { checkAnnouncedLength, hasBody } from './upload.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The call that this request is, from its hold on; null before that and for paths of the gateway itself. */
    call: Call | null;
  }
}

export interface GatewayOptions extends ForwardingOptions {
  readonly meter: CallMeter;
}

/** Forwards the calls that `routing` has matched. Refuses as the meter does, and with TG_UPSTREAM_…. */
export const gateway = fp(registerGateway, { name: 'gateway', dependencies: ['routing'] });

async function registerGateway(app: FastifyInstance, options: GatewayOptions): Promise<void> {
  app.decorateRequest('call', null);
  app.addHook('onRequest', (request, reply, done) => holdCredits(options, request, reply, done));
  app.addHook('onError', (request, reply, _error, done) => {
    if (request.call !== null) answerInstead(request.call, reply);
    done();
  });
  acceptUpgrades(app.server, (request, response) => app.routing(request, response));
  await app.register(forwarding, options);
}

/** Returns a promise when the hold has to wait for the store, else calls `done`: the hot path makes no promise. */
function holdCredits(
  options: GatewayOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): Promise<void> | undefined {
  const route = request.matched;
  if (route === null) {
    done();
    return undefined;
  }
  // Who has left while it was found out who it is will not tell again.
  if (reply.raw.destroyed || request.raw.socket.destroyed) throw new TollgateError('TG_CALLER_LEFT');
  const cost = costOf(route);
  const user = request.isPublic ? null : request.user;
  if (!request.isPublic && user === null) throw new Error('a call on a private route was not identified');
  if (user === null || cost === 0) {
    openCall(request, reply, route, options, null);
    done();
    return undefined;
  }
  const { meter } = options;
  const held = meter.hold(user, { cost, route: route.name, requestId: request.id });
  if (!(held instanceof Promise)) {
    openCall(request, reply, route, options, held);
    done();
    return undefined;
  }
  return held.then((hold) => {
    // The event that would tell may be past already.
    if (reply.raw.destroyed || request.raw.socket.destroyed) {
      meter.release(hold);
      throw new TollgateError('TG_CALLER_LEFT');
    }
    openCall(request, reply, route, options, hold);
  });
}

/** In the turn that got the hold: from here on the caller's end resolves it, whatever goes wrong in between. */
function openCall(
  request: FastifyRequest,
  reply: FastifyReply,
  route: Route,
  { meter, openCalls }: GatewayOptions,
  hold: Hold | null,
): void {
  const { raw } = request;
  const user = request.isPublic ? null : request.user;
  const isRequestWhole = () => raw.readableEnded || !hasBody(raw);
  const answerWith = (error: TollgateError) => {
    if (reply.sent || reply.raw.headersSent) return false;
    reply.send(error);
    return true;
  };
  const disconnect = () => cutAnswer(reply.raw);
  const call = new Call({ route, user, hold, meter, isRequestWhole, answerWith, disconnect });
  request.call = call;
  openCalls.add(call);
  reply.raw.once('close', () => {
    const isServed = reply.raw.writableFinished;
    if (!isServed && isEndedHere(raw.socket)) call.giveUp('cut with its connection, by the gateway');
    else call.onCallerClosed(isServed);
  });
  checkAnnouncedLength(raw, route.maxBodySize);
}

/** The gateway answers with an error: what the upstream said until now is void. */
function answerInstead(call: Call, reply: FastifyReply): void {
  call.onOwnAnswer();
  if (call.remaining !== null) reply.headers({ 'x-credits-cost': '0', 'x-credits-remaining': String(call.remaining) });
}
