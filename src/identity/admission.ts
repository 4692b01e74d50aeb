// Who may sign in: pure. Only an address that the provider vouches for lets anybody in, or makes an operator of them.

import type { SignIn } from '../config/config.ts';

/** Whether somebody whom a provider vouches for with this address may be here; at a provider that is gone, nobody. */
export function mayEnter(signIn: SignIn, provider: string, email: string | null): boolean {
  if (!signIn.providers.some(({ name }) => name === provider)) return false;
  const { anyone, emailDomains, emails } = signIn.allow;
  if (anyone || isAdmin(signIn, provider, email)) return true;
  if (email === null) return false;
  const address = email.toLowerCase();
  return emails.includes(address) || emailDomains.includes(address.slice(address.lastIndexOf('@') + 1));
}

/** Whether the address is one of an operator's, at this provider. */
export function isAdmin({ admins }: Pick<SignIn, 'admins'>, provider: string, email: string | null): boolean {
  return email !== null && admins.some((admin) => admin.provider === provider && admin.email === email.toLowerCase());
}
