// Which sizes are measured: each of the three grows while the others stand still. Pure.

import type { Size } from './fill.ts';

export interface Step extends Size {
  /** Gateways that share the database. */
  readonly instances: number;
}

export interface Bounds {
  readonly maxUsers: number;
  readonly maxCharges: number;
  readonly maxInstances: number;
}

const userFactor = 100;
const chargesFactor = 100;
const instanceFactor = 2;

/** The smallest first. Users grow without charges, charges with all users, instances with the least and with everything. */
export function stepsOf({ maxUsers, maxCharges, maxInstances }: Bounds): Step[] {
  const users = upTo(maxUsers, userFactor).map((users) => ({ users, charges: 0, instances: 1 }));
  const charges = [Math.floor(maxCharges / chargesFactor), maxCharges]
    .filter((charges) => charges > 0)
    .map((charges) => ({ users: maxUsers, charges, instances: 1 }));
  const more = upTo(maxInstances, instanceFactor).filter((instances) => instances > 1);
  const sizes = [users.at(0), charges.at(-1) ?? users.at(-1)].filter((size) => size !== undefined);
  const instances = [...new Set(sizes)].flatMap((size) => more.map((instances) => ({ ...size, instances })));
  return [...users, ...charges, ...instances];
}

/** 1, and then so many times more each, until the last. */
function upTo(last: number, factor: number): number[] {
  const numbers: number[] = [];
  for (let n = 1; n < last; n *= factor) numbers.push(n);
  return [...numbers, last];
}
