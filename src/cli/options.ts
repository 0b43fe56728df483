/** Flags that commands share, and what they become. */
import { existsSync } from 'node:fs';
import { Option, type Command } from 'commander';
import type { Logger } from '../observe/logger.js';
import type { ClientSecurity } from '../security/tls-files.js';
import { parseDevice, type DeviceId } from '../device/device.js';
import { devicePathChoices, type DevicePathChoice } from '../device/path.js';
import { deviceList, devicesAndAccelerator, hostAddress, integer, nonEmpty, oneOf, serverAddress } from './parse.js';
import { UsageError } from './usage-error.js';

export interface CommonFlags {
  readonly json?: true;
  readonly quiet?: true;
  readonly verbose?: true;
}

/** `--json`, `--quiet`, `--verbose`: every command has them. */
export function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print JSON on stdout instead of text')
    .addOption(new Option('-q, --quiet', 'no progress, no logs but errors').conflicts('verbose'))
    .option('-v, --verbose', 'log every step on stderr');
}

const frameworks = ['sglang', 'vllm', 'trt_llm'] as const;

export interface IdentityFlags {
  readonly modelName?: string;
  readonly framework?: (typeof frameworks)[number];
  readonly tp?: number;
  readonly pp?: number;
  readonly ep?: number;
  readonly dtype?: string;
  readonly quantization?: string;
  readonly revision?: string;
  readonly mxVersion?: string;
}

/** Flags that say which weights: seed and target find each other when all of them are equal. */
export function addIdentityOptions(command: Command, modelNameHelp: string): Command {
  return command
    .option('--model-name <name>', modelNameHelp, nonEmpty('a model name'))
    .option('--framework <name>', 'sglang, vllm or trt_llm', oneOf('a framework', frameworks))
    .option('--tp <n>', 'tensor parallel size', integer('a tensor parallel size', 1))
    .option('--pp <n>', 'pipeline parallel size', integer('a pipeline parallel size', 1))
    .option('--ep <n>', 'expert parallel size', integer('an expert parallel size', 0))
    .option('--dtype <name>', 'dtype of the configuration, for example bfloat16')
    .option('--quantization <name>', 'quantization of the configuration, for example fp8')
    .option('--revision <id>', 'revision of the model')
    .option('--mx-version <version>', 'ModelExpress version of the peers to be found by');
}

const fields = ['framework', 'tp', 'pp', 'ep', 'dtype', 'quantization', 'revision', 'mxVersion'] as const satisfies (keyof IdentityFlags)[];

/** True when a flag beside the model's name says something about the identity. */
export function narrowsIdentity(flags: IdentityFlags): boolean {
  return fields.some((field) => flags[field] !== undefined);
}

export interface ServerFlags {
  readonly server?: string;
}

const serverVariables = ['MODEL_EXPRESS_URL', 'MX_SERVER_ADDRESS'] as const;

export function addServerOption(command: Command): Command {
  return command.option(
    '--server <url>',
    `metadata server, host:port, with https:// before it for TLS (default: ${serverVariables.join(', ')} of the environment)`,
    serverAddress('the metadata server'),
  );
}

/** Flag before environment. @throws UsageError when neither names a server, or the variable is no address. */
export function serverOf(flags: ServerFlags, env: Readonly<Record<string, string | undefined>>): string {
  const server = serverIfAny(flags, env);
  if (server === undefined) throw new UsageError('no metadata server: give --server host:port (weightcast serve starts one)');
  return server;
}

/** As {@link serverOf}; `undefined` when neither names a server. @throws UsageError when the variable is no address. */
export function serverIfAny(flags: ServerFlags, env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (flags.server !== undefined) return flags.server;
  const variable = serverVariables.find((name) => (env[name] ?? '') !== '');
  if (variable === undefined) return undefined;
  const value = env[variable] ?? '';
  try {
    return serverAddress('the metadata server')(value);
  } catch (error) {
    throw new UsageError(`${variable} is "${value}": ${error instanceof Error ? error.message : String(error)}`);
  }
}

export interface SecurityFlags {
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsServerName?: string;
  readonly tokenFile?: string;
}

/** Where Kubernetes mounts the token of a pod that ModelExpress' charts deploy. */
const defaultTokenFile = '/var/run/secrets/tokens/modelexpress';

/** Flags that say whom a client trusts, and how it proves who it is. */
export function addSecurityOptions(command: Command): Command {
  return command
    .option(
      '--tls-ca <file>',
      "authorities that may have signed the server's certificate, PEM (default: MODEL_EXPRESS_TLS_CA_FILE); switches TLS on",
      nonEmpty('a file'),
    )
    .option('--tls-cert <file>', 'own certificate, PEM, for servers that ask for one; with --tls-key', nonEmpty('a file'))
    .option('--tls-key <file>', 'its private key, PEM', nonEmpty('a file'))
    .option('--tls-server-name <name>', "name in the server's certificate (default: the host of its address)", nonEmpty('a name'))
    .option('--token-file <file>', `file with the bearer token (default: MX_AUTH_TOKEN_PATH, ${defaultTokenFile})`, nonEmpty('a file'));
}

/**
 * Flag before environment. Files are read when the client is made. A token file that nobody named is used where it
 * exists, so that a machine outside of Kubernetes is not warned of it at every command.
 *
 * @param logger hears of an environment variable that is not used because it makes no sense.
 * @throws UsageError when one of `--tls-cert` and `--tls-key` is missing.
 */
export function securityOf(flags: SecurityFlags, env: Readonly<Record<string, string | undefined>>, logger?: Logger): ClientSecurity {
  if ((flags.tlsCert === undefined) !== (flags.tlsKey === undefined)) throw new UsageError('--tls-cert and --tls-key belong together');
  const caFile = flags.tlsCa ?? valueOf(env, 'MODEL_EXPRESS_TLS_CA_FILE');
  const tls = { caFile, certFile: flags.tlsCert, keyFile: flags.tlsKey, serverName: flags.tlsServerName };
  const named = flags.tokenFile ?? valueOf(env, 'MX_AUTH_TOKEN_PATH');
  const tokenTtlMs = tokenTtlOf(env, logger);
  return {
    ...(Object.values(tls).some((value) => value !== undefined) && { tls }),
    ...((named !== undefined || existsSync(defaultTokenFile)) && { tokenFile: named ?? defaultTokenFile }),
    ...(tokenTtlMs !== undefined && { tokenTtlMs }),
  };
}

function valueOf(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}

/** As ModelExpress' client has it, a bad value is the default and a warning, no error. */
function tokenTtlOf(env: Readonly<Record<string, string | undefined>>, logger: Logger | undefined): number | undefined {
  const text = valueOf(env, 'MX_AUTH_TOKEN_TTL_SECONDS');
  if (text === undefined) return undefined;
  const seconds = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  logger?.warn('MX_AUTH_TOKEN_TTL_SECONDS is no number of seconds; the default of 60 s is used', { value: text });
  return undefined;
}

/** Wires that can be named; a target also knows that there need not be one. */
export const wires = ['auto', 'rdma', 'tcp'] as const;

export interface WireFlags<Name extends string = (typeof wires)[number]> {
  readonly transport?: Name;
  readonly device?: readonly string[];
  readonly devicePath?: DevicePathChoice;
  readonly gidIndex?: number;
  readonly host?: string;
}

/** Flags that say over which wire. */
export function addWireOptions(command: Command): Command {
  return addPathOptions(addTransportOption(command));
}

/** The same without `--transport`. */
export function addPathOptions(command: Command): Command {
  return addEndOptions(
    command.option('--device <names>', 'RDMA devices, separated by commas (default: all with an active port)', deviceList),
  );
}

/** The same where weights may be in an accelerator's memory. */
export function addDevicePathOptions(command: Command): Command {
  return addEndOptions(
    command
      .option(
        '--device <names>',
        'RDMA devices, separated by commas (default: all with an active port); and an accelerator, cuda:0 or hip:0, whose memory the weights are in',
        devicesAndAccelerator,
      )
      .option(
        '--device-path <how>',
        "how RDMA devices get at an accelerator's memory: auto (the first that works), dma-buf, peer-memory or staging (default: auto)",
        oneOf('a way', devicePathChoices),
      ),
  );
}

function addEndOptions(command: Command): Command {
  return command
    .option('--gid-index <n>', 'GID index on every device (default: RoCEv2 over IPv4 first)', integer('a GID index', 0, 255))
    .option('--host <address>', 'address that peers reach this host at', hostAddress);
}

export function addTransportOption(command: Command): Command {
  return command.option(
    '--transport <name>',
    'auto (RDMA where both sides have it, else TCP), rdma or tcp (default: auto)',
    oneOf('a transport', wires),
  );
}

/** The same as options of the library. */
export function wireOptionsOf<Name extends string>(
  flags: WireFlags<Name>,
): {
  transport?: Name;
  devices?: readonly string[];
  devicePath?: DevicePathChoice;
  gidIndex?: number;
  host?: string;
} {
  const devices = flags.device?.filter((name) => !name.includes(':')) ?? [];
  return {
    ...(flags.transport !== undefined && { transport: flags.transport }),
    ...(devices.length > 0 && { devices }),
    ...(flags.devicePath !== undefined && { devicePath: flags.devicePath }),
    ...(flags.gidIndex !== undefined && { gidIndex: flags.gidIndex }),
    ...(flags.host !== undefined && { host: flags.host }),
  };
}

/** The accelerator among the devices. */
export function acceleratorOf({ device }: Pick<WireFlags, 'device'>): DeviceId | undefined {
  const name = device?.find((each) => each.includes(':'));
  return name === undefined ? undefined : parseDevice(name);
}

/** `--rank`, of seed, pull and sources. */
export function addRankOption(command: Command, help: string): Command {
  return command.option('--rank <n>', help, integer('a worker rank', 0));
}
