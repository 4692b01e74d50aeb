// The checks of URLs of identity providers, whose word decides who is who, and of those that browsers see.

import type { Path, Report } from './report.ts';

/** Refuses what is no URL, and warns of one that others could answer for. */
export function checkHttps(report: Report, path: Path, url: string): void {
  if (!URL.canParse(url)) report.add(path, 'is not a URL', 'Write an https URL');
  else if (isExposed(url)) {
    const message = 'is not https: whoever can change what it answers can be anybody';
    report.warn(path, message, 'Write an https URL');
  }
}

/** Whether what travels to a URL can be read on the way. */
export function isExposed(url: string): boolean {
  return /^http:/i.test(url) && !isLoopback(new URL(url).hostname);
}

/** Whether a host is this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.[\d.]+$/.test(host);
}
