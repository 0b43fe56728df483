/** Records: what one rank of a worker published. */
import { setImmediate } from 'node:timers/promises';
import { SourceStatus, WorkerMetadata } from '../../../gen/model_express/p2p.js';
import type { WorkerPayload, WorkerRecord } from '../store.js';
import { encodeArtifact, readArtifact } from './artifact-json.js';
import { JsonReader } from './json-reader.js';
import { floatJson, uint32Max } from './numbers.js';
import { readStringMap, stringMapJson } from './string-map-json.js';
import { encodeTensors, readTensors } from './tensors-json.js';
import { readUnknownFields, unknownFields, unknownFieldsJson, unknownFieldsMember } from './unknown-fields.js';

/** All of `WorkerMetadata`. */
const knownFields: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21]);

const batchBytes = 64 * 1024;

/** UTF-8, members in the order of ModelExpress' servers. */
export async function encodeRecord(record: WorkerRecord): Promise<Buffer> {
  const { envelope, payload, status, updatedAt, sourceLoad } = record;
  const { workerRank, backendMetadata, metadataEndpoint, agentName, workerGrpcEndpoint, accelerator, topology } =
    WorkerMetadata.decode(envelope);
  const nixl = backendMetadata?.$case === 'nixlMetadata' ? backendMetadata.value : undefined;
  const session = backendMetadata?.$case === 'transferEngineSessionId' ? backendMetadata.value : undefined;
  const backendType = nixl !== undefined ? 'nixl' : session !== undefined ? 'transfer_engine' : 'none';
  return Buffer.concat([
    Buffer.from(`{"worker_rank":${String(workerRank)},"backend_type":"${backendType}","nixl_metadata":`),
    ...(await encodeBytes(nixl ?? Buffer.alloc(0))),
    Buffer.from(`,"transfer_engine_session_id":${JSON.stringify(session ?? null)},"tensors":`),
    ...(await encodeTensors(payload.kind === 'tensors' ? payload.entries : Buffer.alloc(0))),
    Buffer.from(
      `,"status":${String(status)},"updated_at":${String(updatedAt)},"metadata_endpoint":${JSON.stringify(metadataEndpoint)},` +
        `"agent_name":${JSON.stringify(agentName)},"worker_grpc_endpoint":${JSON.stringify(workerGrpcEndpoint)},` +
        `"accelerator":${JSON.stringify(accelerator)},"source_load":${floatJson(sourceLoad)},"topology":${stringMapJson(topology)},` +
        `"artifact_source":${payload.kind === 'artifact' ? encodeArtifact(payload.message) : 'null'}` +
        `${unknownFieldsJson(unknownFields(envelope, knownFields))}}`,
    ),
  ]);
}

/** Bytes as an array of numbers, in batches: there may be megabytes. */
async function encodeBytes(bytes: Uint8Array): Promise<Buffer[]> {
  const parts = [Buffer.from('[')];
  for (let from = 0; from < bytes.length; from += batchBytes) {
    if (from > 0) await setImmediate();
    parts.push(Buffer.from((from > 0 ? ',' : '') + bytes.subarray(from, from + batchBytes).join(',')));
  }
  return [...parts, Buffer.from(']')];
}

/**
 * Reads what any version of ModelExpress' servers wrote, and what we did.
 *
 * @throws SyntaxError when it is no record.
 */
export async function decodeRecord(text: string): Promise<WorkerRecord> {
  const envelope = WorkerMetadata.create();
  const backend: StoredBackend = { type: undefined, nixl: Buffer.alloc(0), session: '' };
  let workerRank: number | undefined;
  let status: SourceStatus = SourceStatus.SOURCE_STATUS_UNKNOWN;
  let updatedAt = 0n;
  let sourceLoad: number | undefined;
  let tensors: { entries: Buffer; count: number } | undefined;
  let artifact: Buffer | undefined;
  let unknown: Buffer = Buffer.alloc(0);
  const json = new JsonReader(text);
  json.openObject();
  for (let key = json.key(); key !== undefined; key = json.key()) {
    if (key === 'worker_rank') workerRank = json.integer(0, uint32Max);
    else if (key === 'backend_type') backend.type = json.isNull() ? undefined : json.string();
    else if (key === 'nixl_metadata') backend.nixl = json.bytes();
    else if (key === 'transfer_engine_session_id') backend.session = json.isNull() ? '' : json.string();
    else if (key === 'tensors') tensors = await readTensors(json);
    else if (key === 'status') status = json.enumeration() as SourceStatus;
    else if (key === 'updated_at') updatedAt = json.int64();
    else if (key === 'metadata_endpoint') envelope.metadataEndpoint = json.string();
    else if (key === 'agent_name') envelope.agentName = json.string();
    else if (key === 'worker_grpc_endpoint') envelope.workerGrpcEndpoint = json.string();
    else if (key === 'accelerator') envelope.accelerator = json.detachedString();
    else if (key === 'source_load') sourceLoad = json.isNull() ? undefined : Math.fround(json.number());
    else if (key === 'topology') envelope.topology = readStringMap(json);
    else if (key === 'artifact_source') artifact = json.isNull() ? undefined : readArtifact(json);
    else if (key === unknownFieldsMember) unknown = unknownFields(readUnknownFields(json), knownFields);
    else json.skip();
  }
  json.end();
  if (workerRank === undefined || tensors === undefined) throw new SyntaxError('the record lacks worker_rank or tensors');
  envelope.workerRank = workerRank;
  envelope.backendMetadata = backendOf(backend);
  const { accelerator, topology } = envelope;
  const payload: WorkerPayload = artifact === undefined ? { kind: 'tensors', ...tensors } : { kind: 'artifact', message: artifact };
  const bytes = Buffer.concat([WorkerMetadata.encode(envelope).finish(), unknown]);
  return { workerRank, status, updatedAt, accelerator, topology, sourceLoad, envelope: bytes, payload };
}

interface StoredBackend {
  type: string | undefined;
  nixl: Buffer;
  session: string;
}

/** The oldest records have no type: then what is not empty tells. */
function backendOf({ type, nixl, session }: StoredBackend): WorkerMetadata['backendMetadata'] {
  const kind = type ?? (session !== '' ? 'transfer_engine' : nixl.length > 0 ? 'nixl' : 'none');
  if (kind === 'transfer_engine') return { $case: 'transferEngineSessionId', value: session };
  if (kind === 'nixl') return { $case: 'nixlMetadata', value: nixl };
  return undefined;
}
