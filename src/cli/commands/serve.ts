/** `weightcast serve`: the metadata server. */
import type { Command } from 'commander';
import type { ExitCode } from '../exit-codes.js';
import { addCommonOptions, type CommonFlags } from '../options.js';
import { hostAndPort, seconds } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';

interface ServeFlags extends CommonFlags {
  readonly listen: string;
  readonly heartbeatTimeout?: number;
  readonly gcTimeout?: number;
  readonly reaperInterval?: number;
}

/** How long running calls may take to end after the signal. */
const graceMs = 5000;

export function addServe(program: Command, run: RunCommand): void {
  addCommonOptions(program.command('serve'))
    .description('Run the metadata server: who serves which weights.')
    .option('--listen <address>', 'host:port to listen on; port 0 takes a free one', hostAndPort('an address', 0), '127.0.0.1:8001')
    .option('--heartbeat-timeout <s>', 'silence after which a source is not READY any more (default: 90)', seconds('a time-out', 0.1))
    .option('--gc-timeout <s>', 'time after which a STALE source is forgotten (default: 3600)', seconds('a time-out', 0.1))
    .option('--reaper-interval <s>', 'time between two looks for silent sources (default: 30)', seconds('an interval', 0.1))
    .action((flags: ServeFlags) => run('serve', flags, (context) => serve(flags, context)));
}

async function serve(flags: ServeFlags, { output, untilSignal, logger }: CommandContext): Promise<ExitCode> {
  const { MetadataServer } = await import('../../metadata/server/server.js');
  const server = await MetadataServer.listen({
    listen: flags.listen,
    logger: await logger('info'),
    ...(flags.heartbeatTimeout !== undefined && { heartbeatTimeoutMs: flags.heartbeatTimeout }),
    ...(flags.gcTimeout !== undefined && { gcTimeoutMs: flags.gcTimeout }),
    ...(flags.reaperInterval !== undefined && { reaperIntervalMs: flags.reaperInterval }),
  });
  const { address, port } = server;
  if (flags.json === true) output.json({ event: 'ready', address, port });
  else output.line(`metadata server on ${address}`);
  const startedAt = performance.now();
  const exitCode = await untilSignal();
  await server.close(graceMs);
  if (flags.json === true) output.json({ event: 'stopped', address, uptimeMs: Math.round(performance.now() - startedAt) });
  return exitCode;
}
