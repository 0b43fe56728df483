/** Whom a pull asks for a source: a metadata server, an SGLang server, or nobody, since the caller knows. */
import { WeightcastError } from '../errors.js';
import type { SourceIdentity } from '../gen/model_express/p2p.js';
import type { SelectionSettings, SourceSelector } from '../metadata/selection/index.js';
import type { ClientSecurity } from '../security/tls-files.js';

/** A metadata server knows the sources. {@link SelectionSettings} are for the selectors that look at topology and load. */
export interface FromRegistry extends SelectionSettings {
  /** Must equal the seed's. Fields left out have their proto3 defaults. */
  readonly identity: Partial<SourceIdentity> & { readonly modelName: string };
  /** The metadata server, `host:port`; `https://` before it means TLS. */
  readonly server: string;
  /** Certificates and bearer token, for the server; certificates also for the endpoints of the sources. */
  readonly security?: ClientSecurity | undefined;
  /** Own rank, default 0: only a seed of the same rank has the same shard. */
  readonly rank?: number;
  /** Wait so long for a READY source; default 0 fails at once. Milliseconds. */
  readonly waitMs?: number;
  /**
   * Which source is tried first: `random` (default), `rendezvous_hash`, `load_aware`, `topology_aware`, a name given to
   * `registerSelector`, or an object of the program's own.
   */
  readonly selector?: string | SourceSelector;
  /**
   * Sources to try, best first, when one fails; default 3. One whose record is gone or whose accelerator does not fit
   * counts; a worker that publishes no transfer engine session, which this side cannot read, does not.
   */
  readonly maxSources?: number;
  /** Own worker id, by which `rendezvous_hash` and its kin tell targets apart; default 8 random hex digits. */
  readonly workerId?: string;
  /**
   * What the weights are for, as `cuda` or `xpu`: sources on other accelerators are left out where ModelExpress' rule says
   * that their bytes differ. Default `''`: bytes are taken as they are, whatever they are for.
   */
  readonly accelerator?: string;
  /** Tell the metadata server how the pull goes, for people who watch its page; default true. It never fails or delays a pull. */
  readonly reportTransfers?: boolean;
}

/**
 * An SGLang server that was started with `--remote-instance-weight-loader-start-seed-via-transfer-engine`, or a Weightcast seed
 * that answers as one (`sglang` of its options), knows where its ranks have their weights. It says neither dtypes nor shapes.
 */
export interface FromSglang {
  /** `http://host:port` or `https://host:port`; a path is put before the server's own. Redirections are not followed. */
  readonly sglang: string;
  /** Certificates for `https://`; the token is sent as the server's API key. */
  readonly security?: ClientSecurity | undefined;
  /** Rank whose weights are read, default 0. */
  readonly rank?: number;
  /** Wait so long for a server that does not listen yet, or does not know the rank yet; default 0 fails at once. Milliseconds. */
  readonly waitMs?: number;
}

/** A tensor in the memory of a TransferEngine. */
export interface SessionTensor {
  readonly name: string;
  /** In the peer's address space, inside of memory that it registered. */
  readonly address: bigint;
  readonly bytes: bigint;
  /** safetensors name; `torch.bfloat16` is accepted too. */
  readonly dtype?: string;
  readonly shape?: readonly number[];
}

/** A Mooncake TransferEngine, or a Weightcast seed, of which the caller knows where its tensors are. */
export interface FromSession {
  readonly session: {
    /** `host:port`: the host that the engine was initialized with, and its `get_rpc_port()`. */
    readonly id: string;
    /** Names are unique; tensors may lie one over the other. */
    readonly tensors: readonly SessionTensor[];
  };
}

/** Which origin a pull had, and what was asked. */
export type Origin =
  | { readonly kind: 'registry'; readonly server: string }
  | { readonly kind: 'sglang'; readonly url: string }
  | { readonly kind: 'session'; readonly id: string };

/** The option that names the origin. */
export type OriginOption = 'server' | 'sglang' | 'session';

/** Options that belong to some origins only. */
const belongings: Readonly<Record<string, readonly OriginOption[]>> = {
  identity: ['server'],
  security: ['server', 'sglang'],
  rank: ['server', 'sglang'],
  waitMs: ['server', 'sglang'],
  selector: ['server'],
  topology: ['server'],
  topologyLevels: ['server'],
  loadWeight: ['server'],
  topologyLoadWeight: ['server'],
  maxSources: ['server'],
  workerId: ['server'],
  accelerator: ['server'],
  reportTransfers: ['server'],
};

/**
 * Which origin the options name.
 * @throws ERR_INVALID_ARGUMENT when it is none or several, and for options that mean nothing for it.
 */
export function kindOf(options: object): OriginOption {
  const given = new Set(Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [name])));
  const named = (['server', 'sglang', 'session'] as const).filter((name) => given.has(name));
  const [kind] = named;
  if (kind === undefined || named.length > 1) {
    const received = named.length === 0 ? 'none of them' : named.join(' and ');
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `pull: expected exactly one of server, sglang and session but received ${received}`);
  }
  const misplaced = Object.keys(belongings).filter((name) => given.has(name) && belongings[name]?.includes(kind) !== true);
  if (misplaced.length > 0) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', `pull: ${misplaced.join(', ')} cannot be given with ${kind}`);
  }
  if (kind === 'server' && !given.has('identity')) {
    throw new WeightcastError('ERR_INVALID_ARGUMENT', 'pull: expected identity with server but received none');
  }
  return kind;
}
