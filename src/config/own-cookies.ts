// Placeholder.
export const ownCookiePrefix = 'tollgate_';
