/** Artifact sources: `ArtifactSourceMetadata` messages as JSON. */
import { ArtifactSourceMetadata } from '../../../gen/model_express/p2p.js';
import type { JsonReader } from './json-reader.js';
import { uint32Max } from './numbers.js';
import { readUnknownFields, unknownFields, unknownFieldsJson, unknownFieldsMember } from './unknown-fields.js';

const knownFields: ReadonlySet<number> = new Set([1, 2, 3, 4, 5]);

export function encodeArtifact(message: Buffer): string {
  const { artifactId, totalSize, fileCount, chunkCount, nodeRank } = ArtifactSourceMetadata.decode(message);
  return (
    `{"artifact_id":${JSON.stringify(artifactId)},"total_size":"${String(totalSize)}","file_count":${String(fileCount)},` +
    `"chunk_count":${String(chunkCount)},"node_rank":${String(nodeRank)}${unknownFieldsJson(unknownFields(message, knownFields))}}`
  );
}

/** All members are required but the node's rank, which is 0 when absent. */
export function readArtifact(json: JsonReader): Buffer {
  let artifactId: string | undefined;
  let totalSize: bigint | undefined;
  let fileCount: number | undefined;
  let chunkCount: number | undefined;
  let nodeRank = 0;
  let unknown: Buffer = Buffer.alloc(0);
  json.openObject();
  for (let key = json.key(); key !== undefined; key = json.key()) {
    if (key === 'artifact_id') artifactId = json.string();
    else if (key === 'total_size') totalSize = json.uint64();
    else if (key === 'file_count') fileCount = json.integer(0, uint32Max);
    else if (key === 'chunk_count') chunkCount = json.integer(0, uint32Max);
    else if (key === 'node_rank') nodeRank = json.integer(0, uint32Max);
    else if (key === unknownFieldsMember) unknown = unknownFields(readUnknownFields(json), knownFields);
    else json.skip();
  }
  if (artifactId === undefined || totalSize === undefined || fileCount === undefined || chunkCount === undefined) {
    throw new SyntaxError('the artifact source lacks artifact_id, total_size, file_count or chunk_count');
  }
  const message = { artifactId, totalSize, fileCount, chunkCount, nodeRank };
  return Buffer.concat([ArtifactSourceMetadata.encode(message).finish(), unknown]);
}
