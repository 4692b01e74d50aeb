// Gives existing users their credits: `npx tsx scripts/update-existing-users-credits.ts [--all] [--amount N] [--dry-run]`
// is `tollgate backfill credits` with the same options, under the name it is looked for.

import { runCommandLine } from '../src/cli/run.ts';

process.exitCode = await runCommandLine(['backfill', 'credits', ...process.argv.slice(2)], process);
