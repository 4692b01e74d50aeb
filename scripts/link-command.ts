// After a build in a checkout: makes the command executable, and known to `npx tollgate`. npm links the commands of
// dependencies, not the package's own.

import { chmodSync, existsSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const command = join('dist', 'src', 'cli.js');
const binFolder = join('node_modules', '.bin');
const link = join(binFolder, 'tollgate');

chmodSync(command, 0o755);
if (existsSync(binFolder)) {
  rmSync(link, { force: true });
  symlinkSync(join('..', '..', command), link);
}
