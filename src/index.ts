/**
 * Weightcast: moves model weights between processes by one-sided RDMA READ.
 *
 * A seed offers weights ({@link seedModel}, {@link seedTensors}), a target gets them ({@link pull}), a metadata server
 * ({@link MetadataServer}) holds who serves what.
 * @packageDocumentation
 */
export { WeightcastError } from './errors.js';
export type { ErrorCode, ErrorDetails, SourceAttempt } from './errors.js';
export { canonicalJson, mxSourceId, pythonMxSourceId } from './identity/index.js';
export { BackendFramework, MxSourceType, SourceIdentity, SourceStatus } from './gen/model_express/p2p.js';
export { MetadataClient } from './metadata/client.js';
export type { MetadataClientOptions, Pod } from './metadata/client.js';
export { MetadataServer } from './metadata/server/server.js';
export type { DeviceId } from './device/device.js';
export type { DeviceMemory, DevicePath, DevicePathChoice } from './device/path.js';
export type { NicNuma, NumaSummary } from './locality.js';
export { MAX_WINDOW_BYTES, Region } from './region.js';
export type { TensorMemory } from './region.js';
export * from './mirror/index.js';
export type { EndpointLimits } from './rpc/endpoint-limits.js';
export type { ClientSecurity, ClientTlsFiles, ServerTlsFiles } from './security/tls-files.js';
export * from './seed/index.js';
export * from './target/index.js';
export { createLogger, silentLogger } from './observe/logger.js';
export type { Logger } from './observe/logger.js';
