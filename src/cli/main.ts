#!/usr/bin/env node
/** The `weightcast` command. */
import { processIo } from './io.js';
import { main } from './program.js';

/** How long handles that a command left open may hold the process after its end. */
const lingerMs = 2000;

process.exitCode = await main(process.argv.slice(2), processIo());
setTimeout(() => process.exit(), lingerMs).unref();
