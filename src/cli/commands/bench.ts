/** `weightcast bench`: measures what runs here. Each benchmark is a sub-command. */
import type { Command } from 'commander';
import { addFanout } from '../bench/fanout.js';
import { addMetadata } from '../bench/metadata.js';
import { addModel } from '../bench/model.js';
import { addRead } from '../bench/read.js';
import { addRegister } from '../bench/register.js';
import type { RunCommand } from '../run.js';

export function addBench(program: Command, run: RunCommand): void {
  const bench = program.command('bench').description('Measure what runs here.');
  for (const add of [addRead, addModel, addRegister, addFanout, addMetadata]) add(bench, run);
}
