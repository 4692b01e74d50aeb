#!/usr/bin/env node
// The process behind `tollgate`. The commands are in cli/program.ts.

import { runCommandLine } from './cli/run.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), process);
