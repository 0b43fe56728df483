/** Flags of `seed` and `mirror` that say how the weights are offered, and what they become. */
import type { Command } from 'commander';
import type { Logger } from '../observe/logger.js';
import type { SeedOptions } from '../seed/index.js';
import {
  securityOf,
  serverIfAny,
  serverOf,
  wireOptionsOf,
  type IdentityFlags,
  type SecurityFlags,
  type ServerFlags,
  type WireFlags,
} from './options.js';
import { integer, nonEmpty, oneOf, seconds } from './parse.js';
import { sglangOf, type SglangFlags } from './sglang-options.js';
import { UsageError } from './usage-error.js';

const manifests = ['auto', 'central', 'worker'] as const;
// As src/seed/tcp-served.ts has it, which is not loaded for --help.
const zeroCopyChoices = ['auto', 'never', 'always'] as const;

export interface OfferFlags {
  readonly rank?: number;
  readonly workerId?: string;
  readonly heartbeatInterval?: number;
  readonly manifest?: (typeof manifests)[number];
  readonly accelerator?: string;
  readonly workerPort?: number;
  readonly workerTlsCert?: string;
  readonly workerTlsKey?: string;
  readonly workerTlsClientCa?: string;
  readonly publishTimeout?: number;
  readonly drain?: number;
  readonly local?: boolean;
  readonly zeroCopy?: (typeof zeroCopyChoices)[number];
}

export function addOfferOptions(command: Command): Command {
  return command
    .option(
      '--manifest <mode>',
      'who hands the tensor list out: central (the server), worker (this seed) or auto (default: MX_P2P_METADATA, else auto)',
      oneOf('a mode', manifests),
    )
    .option('--accelerator <name>', 'what the weights are laid out for: cuda, xpu, … (default: not said)', nonEmpty('an accelerator'))
    .option(
      '--worker-port <n>',
      'port of the endpoint with manifests and files (default: MX_WORKER_GRPC_PORT, else a free one)',
      integer('a port', 0, 65_535),
    )
    .option('--worker-tls-cert <file>', 'certificate of that endpoint, PEM; with --worker-tls-key', nonEmpty('a file'))
    .option('--worker-tls-key <file>', 'its private key, PEM', nonEmpty('a file'))
    .option(
      '--worker-tls-client-ca <file>',
      'let only targets in whose certificate one of these authorities signed, PEM',
      nonEmpty('a file'),
    )
    .option(
      '--publish-timeout <s>',
      'how long to try to publish again once the server has lost this seed (default: MX_PUBLISH_TIMEOUT_SECS, else 1800)',
      seconds('a time', 1),
    )
    .option('--no-local', 'do not let processes of this host read without a wire (they can where --transport is auto)')
    .option(
      '--zero-copy <when>',
      "send large answers over TCP without the kernel's copy: auto (default: where the kernel shows that it does), always, never",
      oneOf('a choice', zeroCopyChoices),
    )
    .option('--drain <s>', 'how long to wait at the end for targets that still read (default: 30)', seconds('a time', 0))
    .option('--worker-id <id>', 'name of this worker (default: 8 random hex digits)', nonEmpty('a worker id'))
    .option(
      '--heartbeat-interval <s>',
      'time between two heartbeats (default: MX_HEARTBEAT_INTERVAL_SECS, else 30)',
      seconds('an interval', 0.1),
    );
}

/** Flag before environment. @throws UsageError */
export async function seedOptionsOf(
  modelName: string,
  flags: IdentityFlags & ServerFlags & SecurityFlags & WireFlags & OfferFlags & SglangFlags,
  env: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): Promise<SeedOptions> {
  const sglang = sglangOf(flags);
  // Only SGLang's own processes can do without a metadata server.
  const server = sglang === undefined ? serverOf(flags, env) : serverIfAny(flags, env);
  const security = securityOf(flags, env, logger);
  const { environmentSeed } = await import('../seed/index.js');
  const { identityOf } = await import('./identity.js');
  return {
    identity: identityOf(flags, modelName, env),
    ...(server !== undefined && { server }),
    ...(sglang !== undefined && { sglang }),
    security,
    ...(await environmentSeed(env, logger)),
    ...wireOptionsOf(flags),
    ...offerOptionsOf(flags),
    logger,
  };
}

/** @throws UsageError when one of certificate and key is missing. */
export function offerOptionsOf(flags: OfferFlags): Partial<SeedOptions> {
  const { manifest, accelerator, workerPort, workerTlsCert: certFile, workerTlsKey: keyFile, workerTlsClientCa: clientCaFile } = flags;
  if ((certFile === undefined) !== (keyFile === undefined)) throw new UsageError('--worker-tls-cert and --worker-tls-key belong together');
  if (clientCaFile !== undefined && certFile === undefined) {
    throw new UsageError('--worker-tls-client-ca needs --worker-tls-cert and --worker-tls-key');
  }
  return {
    ...(flags.rank !== undefined && { rank: flags.rank }),
    ...(flags.workerId !== undefined && { workerId: flags.workerId }),
    ...(flags.heartbeatInterval !== undefined && { heartbeatIntervalMs: flags.heartbeatInterval }),
    ...(manifest !== undefined && { manifest }),
    ...(accelerator !== undefined && { accelerator }),
    ...(workerPort !== undefined && { workerPort }),
    ...(certFile !== undefined && keyFile !== undefined && { workerTls: { certFile, keyFile, clientCaFile } }),
    ...(flags.publishTimeout !== undefined && { publishTimeoutMs: flags.publishTimeout }),
    ...(flags.drain !== undefined && { drainTimeoutMs: flags.drain }),
    ...(flags.zeroCopy !== undefined && { zeroCopy: flags.zeroCopy }),
    // Without the flag it follows the transport.
    ...(flags.local === false && { local: false }),
  };
}
