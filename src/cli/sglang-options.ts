/** Flags of `seed` by which SGLang's own processes find it, and what they become. */
import type { Command } from 'commander';
import type { SglangOffer } from '../seed/index.js';
import { hostAddress, httpUrl, integer, oneOf } from './parse.js';
import { UsageError } from './usage-error.js';

const registrants = ['host', 'any', 'none'] as const;

export interface SglangFlags {
  readonly sglangPort?: number;
  readonly sglangHost?: string;
  readonly sglangRegistrants?: (typeof registrants)[number];
  readonly sglangRegister?: string;
}

export function addSglangOptions(command: Command): Command {
  return command
    .option(
      '--sglang-port <n>',
      'answer SGLang targets at this port, as an SGLang server does; 0: a free one',
      integer('a port', 0, 65_535),
    )
    .option('--sglang-host <address>', 'address to listen at (default: loopback where --host is that, else every interface)', hostAddress)
    .option(
      '--sglang-registrants <who>',
      'whose registrations of other ranks to take there: host (processes of this host), any or none (default: host)',
      oneOf('who', registrants),
    )
    .option(
      '--sglang-register <url>',
      'register with the SGLang bootstrap server, or the seed, at http://host:port, which then answers for this rank',
      httpUrl("SGLang's bootstrap server"),
    );
}

/** `undefined` when none was given. @throws UsageError for flags of a port that is not there. */
export function sglangOf(flags: SglangFlags): SglangOffer | undefined {
  const { sglangPort: port, sglangHost: host, sglangRegistrants: who, sglangRegister: register } = flags;
  if (port === undefined && (host !== undefined || who !== undefined)) {
    throw new UsageError('--sglang-host and --sglang-registrants need --sglang-port');
  }
  if (port === undefined && register === undefined) return undefined;
  return {
    ...(port !== undefined && { port }),
    ...(host !== undefined && { host }),
    ...(who !== undefined && { registrants: who }),
    ...(register !== undefined && { register }),
  };
}
