/**
 * `SourceIdentity` and the ids made of it. Two processes may exchange weights when their identities give the same
 * `mx_source_id`.
 */
import { createHash } from 'node:crypto';
import type { SourceIdentity } from '../gen/model_express/p2p.js';
import { canonicalJson, pythonCanonicalJson } from './canonical-json.js';

export { canonicalJson, pythonCanonicalJson } from './canonical-json.js';
export { completeIdentity, decodeIdentity } from './identity.js';
export type { SourceIdentity } from '../gen/model_express/p2p.js';

/**
 * The id that a metadata server gives an identity: 16 lower-case hex digits. Absent fields count as proto3 defaults.
 * A client should use the id that its server answers with; this one is for servers and for checking.
 */
export function mxSourceId(identity: Partial<SourceIdentity>): string {
  return digest(canonicalJson(identity));
}

/**
 * The id that ModelExpress' Python client computes where there is no server (its k8s-service mode). The same as
 * {@link mxSourceId} as long as every character of the identity is below U+007F.
 */
export function pythonMxSourceId(identity: Partial<SourceIdentity>): string {
  return digest(pythonCanonicalJson(identity));
}

function digest(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 16);
}
