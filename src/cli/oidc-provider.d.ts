// The part of oidc-provider that demo-provider.ts loads, which has the types of the whole.

declare module 'oidc-provider/lib/provider.js' {
  export { Provider } from 'oidc-provider';
}
