/** `weightcast serve`: the metadata server. */
import { Option, type Command } from 'commander';
import { flagName, settingKeys, settingOf } from '../../daemon/config/settings.js';
import type { ResolvedConfig } from '../../daemon/config/resolve.js';
import type { ExitCode } from '../exit-codes.js';
import { formatTable } from '../format.js';
import { addCommonOptions, type CommonFlags } from '../options.js';
import { hostAndPort, nonEmpty } from '../parse.js';
import type { CommandContext, RunCommand } from '../run.js';

/** The settings' own flags are here too, by their names. */
interface ServeFlags extends CommonFlags {
  readonly listen?: string;
  readonly config?: string;
  readonly printConfig?: true;
  readonly validateConfig?: true;
}

export function addServe(program: Command, run: RunCommand): void {
  const command = addCommonOptions(program.command('serve'))
    .description('Run the metadata server: who serves which weights.')
    .addOption(
      new Option('--listen <address>', 'host and port in one: host:port; port 0 takes a free one (default: 127.0.0.1:8001)')
        .argParser(hostAndPort('an address', 0))
        .conflicts(['host', 'port']),
    );
  for (const key of settingKeys) {
    const { flag, help, default: usual } = settingOf(key);
    if (flag !== undefined) command.option(flag, `${help} (default: ${usual})`, nonEmpty(`a value for ${flagName(flag)}`));
  }
  command
    .option('--config <file>', 'configuration, YAML (default: weightcast.yaml, /etc/weightcast/config.yaml)', nonEmpty('a file'))
    .option('--print-config', 'print every setting, its value and where it came from, and end')
    .addOption(new Option('--validate-config', 'only say whether the configuration is good: exit code 0 or 2').conflicts('printConfig'))
    .action((flags: ServeFlags) => run('serve', flags, (context) => serve(flags, context)));
}

async function serve(flags: ServeFlags, { io, output, untilSignal }: CommandContext): Promise<ExitCode | undefined> {
  const { fromFlags } = await import('../../daemon/config/flags.js');
  const { resolveConfig } = await import('../../daemon/config/resolve.js');
  const resolved = await resolveConfig({ flags: fromFlags({ ...flags }), env: io.env, file: flags.config });
  if (flags.printConfig === true) return printConfig(resolved, flags, output);
  if (flags.validateConfig === true) {
    sayValid(resolved, flags, output);
    return undefined;
  }

  const { createLogger } = await import('../../observe/logger.js');
  const { Daemon } = await import('../../daemon/daemon.js');
  const { ignoreHangups } = await import('../../daemon/hangup.js');
  const { config, file, warnings, values } = resolved;
  const logger = createLogger({ ...config.log, destination: io.stderr });
  if (file !== undefined) logger.info('configuration read', { file });
  const host = values.find(({ key }) => key === 'server.host');
  if (host?.origin === 'default' && config.auth.mode === 'off') logger.info(`listening on ${config.listen.host} only: ${host.where}`);
  for (const warning of warnings) logger.warn(warning);
  // A terminal that is closed ends what runs in it.
  using _hangups = io.stdout.isTTY === true ? undefined : ignoreHangups(logger);
  const daemon = await Daemon.start(config, logger);
  const { address, port, httpAddress, metricsAddress } = daemon;
  if (flags.json === true)
    output.json({ event: 'ready', address, port, http: httpAddress, metrics: metricsAddress, store: config.store.kind });
  else {
    output.line(`metadata server on ${address}`);
    if (httpAddress !== undefined) output.line(`page and probes on http://${httpAddress}/`);
    if (metricsAddress !== undefined) output.line(`metrics on http://${metricsAddress}/metrics`);
  }
  const startedAt = performance.now();
  const exitCode = await untilSignal();
  await daemon.stop();
  if (flags.json === true) output.json({ event: 'stopped', address, uptimeMs: Math.round(performance.now() - startedAt) });
  return exitCode;
}

async function printConfig(resolved: ResolvedConfig, flags: ServeFlags, output: CommandContext['output']): Promise<undefined> {
  const { printedRows, printedValues } = await import('../../daemon/config/print.js');
  const { file, warnings } = resolved;
  if (flags.json === true) {
    output.json({ file: file ?? null, values: printedValues(resolved), warnings });
    return;
  }
  for (const line of formatTable([['SETTING', 'VALUE', 'SOURCE'], ...printedRows(resolved)])) output.line(line);
  for (const warning of warnings) output.note(`warning: ${warning}`);
}

function sayValid({ file, warnings }: ResolvedConfig, flags: ServeFlags, output: CommandContext['output']): void {
  if (flags.json === true) output.json({ valid: true, file: file ?? null, warnings });
  else {
    output.line(`the configuration is good (${file ?? 'no file'})`);
    for (const warning of warnings) output.note(`warning: ${warning}`);
  }
}
