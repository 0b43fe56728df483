/** `weightcast bench model`. */
import { Option, type Command } from 'commander';
import { offerName, shapeSetNames, type ShapeSetName } from '../../bench/model/names.js';
import type { ExitCode } from '../exit-codes.js';
import { atLeastOne, integer, oneOf } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';
import {
  addBenchCommonOptions,
  addBenchWireOptions,
  addDepthOptions,
  addPairOptions,
  addReportOptions,
  checkPair,
  depthOf,
  wireOf,
  type BenchWireFlags,
  type DepthFlags,
  type PairFlags,
  type ReportFlags,
} from './flags.js';

export interface ShapeFlags {
  readonly shapes: ShapeSetName;
  readonly scale: number;
  readonly repetitions: number;
}

type ModelFlags = ReportFlags & BenchWireFlags & DepthFlags & PairFlags & ShapeFlags;

export function addShapeOptions(command: Command, usualScale: number): Command {
  return command
    .addOption(
      new Option('--shapes <name>', shapeSetNames.join(', ')).argParser(oneOf('a set of shapes', shapeSetNames)).default(shapeSetNames[0]),
    )
    .addOption(
      new Option('--scale <n>', 'divide dimensions by it; 1: the published sizes').argParser(atLeastOne('a scale')).default(usualScale),
    )
    .addOption(new Option('--repetitions <n>', 'how often').argParser(integer('a number of repetitions', 1, 1000)).default(5));
}

export function addModel(bench: Command, run: RunCommand): void {
  const command = addBenchCommonOptions(bench.command('model')).description("Measure whole pulls of a model's tensors, by phase.");
  addReportOptions(addPairOptions(addDepthOptions(addBenchWireOptions(addShapeOptions(command, 1))), 'the tensors')).action(
    (flags: ModelFlags) => run('bench model', flags, (context) => model(flags, context)),
  );
}

async function model(flags: ModelFlags, context: CommandContext): Promise<ExitCode> {
  const { signal, output } = context;
  const { shapes, scale, repetitions } = flags;
  checkPair(flags);
  const depth = depthOf(flags, flags.transport ?? 'auto');
  const wire = await wireOf(flags, flags.connect === undefined && flags.serve === undefined ? '127.0.0.1' : undefined);
  const { serve, targetOf } = await import('./pair.js');
  if (flags.serve === true) {
    const { shapeSet } = await import('../../bench/model/shape-sets.js');
    const specs = shapeSet(shapes, scale);
    return serve({ listen: flags.listen, name: offerName(shapes, scale), specs, checksums: true, wire }, context);
  }
  const { benchModel } = await import('../../bench/model/run.js');
  const target = targetOf(flags.connect, ['bench', 'model', '--shapes', shapes, '--scale', String(scale)], wire);
  const tell = (text: string): void => {
    if (flags.quiet !== true) output.note(text);
  };
  const { measureAndShow } = await import('./emit.js');
  return measureAndShow(flags, context, () => benchModel({ target, wire, depth, shapes, scale, repetitions, signal, tell }));
}
