// `npm run bench:pages`: how long the data of each page takes to arrive at the server, on a PostgreSQL that is full. It fails
// when half of a page's runs take longer than a page may.

import { Command } from 'commander';
import { integerFrom } from './bench/options.ts';
import { type PagesPlan, runPages } from './bench/pages/pages.ts';
import { pageMaxMs, renderPages, slowPages } from './bench/pages/pages-report.ts';

const { json, ...plan } = new Command('bench:pages')
  .description('Measures what the pages ask of a PostgreSQL that is full.')
  .option('--rows <n>', 'how many entries the ledger holds', integerFrom(1_000, 100_000_000), 10_000_000)
  .option('--users <n>', 'how many users there are', integerFrom(1, 3_000_000), 10_000)
  .option('--runs <n>', 'how often each page is asked for', integerFrom(1, 1_000), 20)
  .option('--json', 'print one JSON document', false)
  .parse()
  .opts<PagesPlan & { json: boolean }>();

const report = await runPages(plan, (line) => console.error(line));
console.log(json ? JSON.stringify(report, null, 2) : renderPages(report));
const slow = slowPages(report);
for (const { title } of slow) console.error(`More than ${pageMaxMs} ms: ${title}.`);
process.exit(slow.length === 0 ? 0 : 1);
