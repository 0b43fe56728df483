import type { SourceIdentity } from '../gen/model_express/p2p.js';
import type { Logger } from '../observe/logger.js';
import type { TensorMemory } from '../region.js';

/** Which wire to offer. `auto`: RDMA where a device is active, and TCP beside it. */
export type TransportChoice = 'auto' | 'rdma' | 'tcp';

/** The steps of bringing a seed up, in order. */
export type SeedPhase = 'open' | 'prepare' | 'register' | 'checksum' | 'publish';

/** How a seed is offered. */
export interface SeedOptions {
  /** Who these weights are. Fields left out have their proto3 defaults; targets must use equal ones. */
  readonly identity: Partial<SourceIdentity> & { readonly modelName: string };
  /** The metadata server, `host:port`. */
  readonly server: string;
  /** Worker rank, default 0: pp_rank × tp_size + tp_rank. */
  readonly rank?: number;
  /** Default: 8 random hex digits. */
  readonly workerId?: string;
  /** Default `auto`. With `rdma`, failing to set RDMA up is an error; with `auto` it is a reason in {@link Seed.transportReason}. */
  readonly transport?: TransportChoice;
  /** RDMA devices to use, for example `['mlx5_0', 'mlx5_1']`; default all with an active port. */
  readonly devices?: readonly string[];
  /** GID index of every device; default: RoCEv2 over IPv4 first. */
  readonly gidIndex?: number;
  /** The address that peers reach this host at. Default: the one with the route to the outside. */
  readonly host?: string;
  /** XXH3-64 of each tensor, computed before publishing and verified by targets. Default true. */
  readonly checksums?: boolean;
  /** Default 30 000 ms. */
  readonly heartbeatIntervalMs?: number;
  /**
   * Runs before registration, with the phase `prepare`. An engine that post-processes weights (quantised models) does
   * so here: what is published is what was registered.
   */
  readonly prepare?: () => Promise<void> | void;
  readonly logger?: Logger;
  /** Aborts bringing the seed up; a seed that is up is ended by `close`. */
  readonly signal?: AbortSignal;
  readonly onPhase?: (phase: SeedPhase) => void;
}

/** A tensor of the caller's own memory. */
export interface SeedTensor {
  readonly name: string;
  /** safetensors name, for example `BF16`; `torch.bfloat16` is accepted too. */
  readonly dtype: string;
  /** Default: one dimension of as many elements as there are. */
  readonly shape?: readonly number[];
  /** Where the bytes are. They must not change while the seed is up. */
  readonly data: TensorMemory;
}

/** What a seed that is up offers, and how it came up. */
export interface SeedSummary {
  /** `mx_source_id`, computed by the server. */
  readonly sourceId: string;
  readonly workerId: string;
  readonly rank: number;
  /** `host:port` of the handshake, which peers open. */
  readonly sessionId: string;
  /** `host:port` of the gRPC endpoint with manifests and files. */
  readonly workerEndpoint: string;
  /** What peers can read by. */
  readonly transports: readonly ('rdma' | 'tcp')[];
  /** RDMA devices in use. */
  readonly devices: readonly string[];
  /** Devices of these that are software (Soft-RoCE): not RDMA hardware. */
  readonly softwareDevices: readonly string[];
  /** Why RDMA is not offered; `''` when it is. */
  readonly transportReason: string;
  readonly tensors: number;
  readonly bytes: bigint;
  /** `memory`: the caller's own; `mapped`: straight from the page cache; `copied`: into memory that can be pinned. */
  readonly backing: 'memory' | 'mapped' | 'copied';
  /** Why files were copied; `''` when they were not. */
  readonly copiedBecause: string;
  /** Memory regions registered on each device. */
  readonly registrations: number;
  /** Milliseconds of each phase. */
  readonly phases: Readonly<Record<SeedPhase, number>>;
}
