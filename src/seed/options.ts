import type { SourceIdentity } from '../gen/model_express/p2p.js';
import type { DeviceId } from '../device/device.js';
import type { DeviceMemory, DevicePathChoice } from '../device/path.js';
import type { NumaSummary } from '../locality.js';
import type { WeightcastError } from '../errors.js';
import type { Pod } from '../metadata/client.js';
import type { Topology } from '../metadata/selection/index.js';
import type { Logger } from '../observe/logger.js';
import type { TensorMemory } from '../region.js';
import type { EndpointLimits } from '../rpc/endpoint-limits.js';
import type { ClientSecurity, ServerTlsFiles } from '../security/tls-files.js';
import type { Registrants } from '../sglang/rank-desk.js';
import type { ManifestMode } from './manifest-mode.js';
import type { ZeroCopyChoice } from './tcp-served.js';

/** Which wire to offer. `auto`: RDMA where a device is active, and TCP beside it. */
export type TransportChoice = 'auto' | 'rdma' | 'tcp';

/** The steps of bringing a seed up, in order. */
export type SeedPhase = 'open' | 'prepare' | 'register' | 'checksum' | 'publish';

/** How a seed is offered. */
export interface SeedOptions {
  /** Who these weights are. Fields left out have their proto3 defaults; targets must use equal ones. */
  readonly identity: Partial<SourceIdentity> & { readonly modelName: string };
  /** The metadata server, `host:port`; `https://` before it means TLS. Without it there must be {@link SeedOptions.sglang}. */
  readonly server?: string;
  /** Also, or only, be found by SGLang's own processes, without a metadata server. */
  readonly sglang?: SglangOffer;
  /** Certificates and bearer token, for the server. */
  readonly security?: ClientSecurity;
  /** Worker rank, default 0: pp_rank × tp_size + tp_rank. */
  readonly rank?: number;
  /** Default: 8 random hex digits. */
  readonly workerId?: string;
  /** Default `auto`. With `rdma`, failing to set RDMA up is an error; with `auto` it is a reason in {@link Seed.transportReason}. */
  readonly transport?: TransportChoice;
  /**
   * Also let processes of this host, of the same user or root, read without a wire. Default: with transport `auto`; one that names
   * a wire is for that wire.
   */
  readonly local?: boolean;
  /**
   * Whether answers over TCP of 64 KiB and more are sent out of the weights' own memory (MSG_ZEROCOPY) instead of a copy of the
   * kernel's. `auto` (default): on connections where a try has shown that the kernel does not copy after all, which it does on
   * loopback and virtual links. `always`: without asking; `never`. {@link Seed.tcpServed} counts what became of it.
   */
  readonly zeroCopy?: ZeroCopyChoice;
  /** RDMA devices to use, for example `['mlx5_0', 'mlx5_1']`; default all with an active port. */
  readonly devices?: readonly string[];
  /** GID index of every device; default: RoCEv2 over IPv4 first. */
  readonly gidIndex?: number;
  /** {@link seedModel}: load the files into this accelerator's memory, and offer them from there. Default: files are mapped. */
  readonly on?: DeviceId;
  /**
   * How NICs get at weights in an accelerator's memory. `auto` (default): the first that works, see {@link SeedSummary.deviceMemory};
   * with `staging`, and without RDMA, a copy in host memory is offered. `dma-buf` and `peer-memory` make it an error when they do not
   * work.
   */
  readonly devicePath?: DevicePathChoice;
  /** The address that peers reach this host at. Default: the one with the route to the outside. */
  readonly host?: string;
  /** XXH3-64 of each tensor, computed before publishing and verified by targets. Default true. */
  readonly checksums?: boolean;
  /**
   * Who hands the tensor list out. `central`: the server, which SGLang's targets over Mooncake's TransferEngine need.
   * `worker`: this seed's own endpoint, for peers that know how to ask there; the server's record stays small. `auto`
   * (default): central, unless a reply of the server with the list would be above 100 MiB.
   */
  readonly manifest?: ManifestMode;
  /**
   * What the weights are laid out for: `cuda`, `xpu`, …. Default `''`, unknown, which fits every target but those that name an
   * accelerator and want quantised weights: these take no risk. Weights in the memory of one are its own unless this says otherwise.
   */
  readonly accelerator?: string;
  /** Where this seed runs, for targets that prefer near ones: domain → value, for example `{ block: 'b1', rack: 'r3' }`. */
  readonly topology?: Topology;
  /** Prometheus metrics of the inference engine beside this seed: its cache usage counts as load, beside that of the RDMA ports. */
  readonly runtimeMetricsUrl?: string;
  /** The Kubernetes pod that this is. */
  readonly pod?: Pod;
  /** Milliseconds; default 30 000. */
  readonly heartbeatIntervalMs?: number;
  /** How long publishing again is tried when the server has lost this seed. Milliseconds; default 1 800 000. */
  readonly publishTimeoutMs?: number;
  /**
   * That time is over: targets do not find this seed any more, and nothing will change that. It serves whoever knows it until
   * it is closed. Called once.
   */
  readonly onLost?: (error: WeightcastError) => void;
  /** Port of the gRPC endpoint with manifests, files and leases; default 0, a free one. */
  readonly workerPort?: number;
  /**
   * Certificates of that endpoint. It is then published as `https://host:port`, which Weightcast's targets understand and
   * ModelExpress' own clients, which speak no TLS with workers, do not. The data plane stays as it is.
   */
  readonly workerTls?: ServerTlsFiles;
  /** What one client, and all of them, may take of that endpoint; absent ones have defaults. */
  readonly workerLimits?: Partial<EndpointLimits>;
  /** Time in which a target is done. A lease that it does not give back lasts 2 × (at least 120 s) + 30 s. Milliseconds; default 900 000. */
  readonly transferTimeoutMs?: number;
  /** How long `close` waits for targets that hold a lease. Milliseconds; default 30 000; 0: not at all. */
  readonly drainTimeoutMs?: number;
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

/**
 * How SGLang's processes find a seed: its targets ask over HTTP where the weights of their rank are. What they are told are names,
 * addresses and sizes; no identity, no shapes, no checksums. At least one of `port` and `register` is needed.
 */
export interface SglangOffer {
  /** Port to answer at, as the port of an SGLang server; 0 takes a free one. Absent: this process does not answer. */
  readonly port?: number;
  /** Address to listen at. Default: where {@link SeedOptions.host} is loopback that, else every interface. */
  readonly host?: string;
  /** Whose registrations of other ranks are taken at that port. Default `host`: those of processes of this host. */
  readonly registrants?: Registrants;
  /**
   * `http://host:port` that answers for this seed: the bootstrap server of an SGLang instance, or the port of another seed.
   * While the seed is up it registers again when that server forgets it.
   */
  readonly register?: string;
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
  /** `mx_source_id`, computed by the server; here, where there is none. */
  readonly sourceId: string;
  readonly workerId: string;
  readonly rank: number;
  /** `host:port` of the handshake, which peers open. */
  readonly sessionId: string;
  /** `host:port` of the gRPC endpoint with manifests and files; `https://` before it with TLS; `''` without a metadata server. */
  readonly workerEndpoint: string;
  /** Who hands the tensor list out; `none`: there is no metadata server. */
  readonly manifest: 'central' | 'worker' | 'none';
  /** Where SGLang's processes find the seed, `http://host:port` each: its own port, and the server that answers for it; `''` for none. */
  readonly sglang?: { readonly url: string; readonly registeredAt: string };
  /** What peers can read by. */
  readonly transports: readonly ('rdma' | 'tcp' | 'local')[];
  /** RDMA devices in use. */
  readonly devices: readonly string[];
  /** Devices of these that are software (Soft-RoCE): not RDMA hardware. */
  readonly softwareDevices: readonly string[];
  /** Why RDMA is not offered; `''` when it is. */
  readonly transportReason: string;
  readonly tensors: number;
  readonly bytes: bigint;
  /**
   * `memory`: the caller's own; `mapped`: straight from the page cache; `copied`: into host memory that can be pinned; `device`: of an
   * accelerator, which is read there.
   */
  readonly backing: 'memory' | 'mapped' | 'copied' | 'device';
  /** Why files, or an accelerator's memory, were copied; `''` when they were not. */
  readonly copiedBecause: string;
  /** How weights in the memory of accelerators are read; absent where none are. */
  readonly deviceMemory?: DeviceMemory;
  /** Which NUMA nodes are close; absent on a machine of one node, and without RDMA. */
  readonly numa?: NumaSummary;
  /** Memory regions registered on each device. */
  readonly registrations: number;
  /** Milliseconds of each phase. */
  readonly phases: Readonly<Record<SeedPhase, number>>;
  /** What is not as one would expect, in sentences. */
  readonly notes: readonly string[];
}
