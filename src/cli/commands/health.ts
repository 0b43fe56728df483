/** `weightcast health`: asks a server whether it serves, as probes of containers do. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.js';
import {
  addCommonOptions,
  addSecurityOptions,
  addServerOption,
  securityOf,
  serverOf,
  type CommonFlags,
  type SecurityFlags,
  type ServerFlags,
} from '../options.js';
import { nonEmpty, seconds } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';

interface HealthFlags extends CommonFlags, ServerFlags, SecurityFlags {
  readonly service?: string;
  readonly timeout?: number;
}

const defaultTimeoutMs = 5000;

export function addHealth(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('health')).description(
    'Ask a gRPC server whether it serves (grpc.health.v1); exit code 0 if it does, 4 if not.',
  );
  addSecurityOptions(addServerOption(command))
    .option('--service <name>', 'full name of a service (default: the server as a whole)', nonEmpty('the name of a service'))
    .option('--timeout <s>', 'longest wait for the answer (default: 5)', seconds('a time', 0.1))
    .action((flags: HealthFlags) => run('health', flags, (context) => health(flags, context)));
}

async function health(flags: HealthFlags, { io, output, signal }: CommandContext): Promise<ExitCode> {
  const server = serverOf(flags, io.env);
  const { service = '', timeout = defaultTimeoutMs } = flags;
  const { checkHealth } = await import('../../metadata/health-client.js');
  const status = await checkHealth(server, { service, timeoutMs: timeout, security: securityOf(flags, io.env), signal });
  if (flags.json === true) output.json({ server, service, status });
  else output.line(`${server}${service === '' ? '' : ` ${service}`}: ${status}`);
  return status === 'SERVING' ? ExitCode.ok : ExitCode.unreachable;
}
