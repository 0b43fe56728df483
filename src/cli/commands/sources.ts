/** `weightcast sources`: who serves what, now. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { formatAge, formatTable } from '../format.js';
import {
  addCommonOptions,
  addIdentityOptions,
  addRankOption,
  addSecurityOptions,
  addServerOption,
  narrowsIdentity,
  securityOf,
  serverOf,
  type CommonFlags,
  type IdentityFlags,
  type SecurityFlags,
  type ServerFlags,
} from '../options.js';
import type { CommandContext, RunCommand } from '../run.js';
import type { Source, SourceFilter } from '../source-list.js';
import { UsageError } from '../usage-error.js';

interface SourcesFlags extends CommonFlags, IdentityFlags, ServerFlags, SecurityFlags {
  readonly rank?: number;
  readonly watch?: true;
}

const refreshMs = 2000;

export function addSources(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('sources')).description('List who serves what, now.');
  addServerOption(command);
  addSecurityOptions(command);
  addIdentityOptions(command, 'only this model; with other identity flags, only exactly this identity');
  addRankOption(command, 'only this worker rank');
  command
    .option('--watch', 'look again every 2 s and print what changes')
    .action((flags: SourcesFlags) => run('sources', flags, (context) => sources(flags, context)));
}

async function sources(flags: SourcesFlags, context: CommandContext): Promise<undefined> {
  const { io, output, signal } = context;
  const server = serverOf(flags, io.env);
  const logger = await context.logger('warn');
  const security = securityOf(flags, io.env, logger);
  const filter = await filterOf(flags, io.env);
  const { MetadataClient } = await import('../../metadata/client.js');
  const { changesBetween, fetchSources } = await import('../source-list.js');
  const client = new MetadataClient(server, { security, logger });
  try {
    let known = await fetchSources(client, filter, signal);
    if (flags.watch !== true && flags.json === true) output.json({ server: client.server, sources: known });
    else if (flags.json === true) for (const source of known) output.json({ event: 'added', source });
    else printTable(known, context);
    while (flags.watch === true) {
      await delay(refreshMs, undefined, { signal: AbortSignal.any([signal, output.closed]) }).catch((error: unknown) => {
        if (!output.closed.aborted) throw error;
      });
      if (output.closed.aborted) break;
      const next = await fetchSources(client, filter, signal);
      for (const { event, source } of changesBetween(known, next)) {
        if (flags.json === true) output.json({ event, source });
        else output.line(`${new Date().toISOString()}  ${event.padEnd(7)}  ${cells(source).join('  ')}`);
      }
      known = next;
    }
  } finally {
    client.close();
  }
  return undefined;
}

async function filterOf(flags: SourcesFlags, env: CommandContext['io']['env']): Promise<SourceFilter> {
  if (flags.modelName === undefined && narrowsIdentity(flags)) {
    throw new UsageError('--framework, --tp and other identity flags need --model-name: an identity without a model name filters nothing');
  }
  const rank = flags.rank === undefined ? {} : { rank: flags.rank };
  if (flags.modelName === undefined) return rank;
  if (!narrowsIdentity(flags)) return { ...rank, modelName: flags.modelName };
  const { identityOf } = await import('../identity.js');
  return { ...rank, identity: identityOf(flags, flags.modelName, env) };
}

function printTable(sources: readonly Source[], { output }: CommandContext): void {
  if (sources.length === 0) {
    output.note('no sources');
    return;
  }
  const head = ['MODEL', 'SOURCE ID', 'WORKER', 'RANK', 'ACCELERATOR', 'STATUS', 'UPDATED'];
  const now = Date.now();
  const age = (source: Source): string => (source.updatedAt > 0 ? `${formatAge(now - source.updatedAt)} ago` : 'never');
  for (const line of formatTable([head, ...sources.map((source) => [...cells(source), age(source)])])) output.line(line);
}

function cells(source: Source): string[] {
  return [source.modelName, source.sourceId, source.workerId, String(source.rank), source.accelerator || '-', source.status];
}
