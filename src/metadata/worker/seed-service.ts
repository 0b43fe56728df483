/** `weightcast.v1.SeedService`: what a seed tells beyond ModelExpress. */
import { status } from '@grpc/grpc-js';
import type { ModelFileChunk, SeedServiceServer } from '../../gen/weightcast/seed.js';
import { fail, streamOut } from '../../rpc/stream-out.js';
import { chunksOf, manifestParts } from './manifest-parts.js';
import { mismatch, type ServedSource } from './served-source.js';

export function createSeedService(source: ServedSource): SeedServiceServer {
  const { worker, logger } = source;
  const refusal = ({ mxSourceId, workerId }: { mxSourceId: string; workerId: string }): string | undefined =>
    mismatch(source, { sourceId: mxSourceId, workerId: workerId || undefined });

  return {
    getModelManifest: (call) => {
      const reason = refusal(call.request);
      if (reason !== undefined) {
        fail(call, status.FAILED_PRECONDITION, reason);
        return;
      }
      worker.manifest().then(
        (manifest) => streamOut(call, manifestParts(manifest)),
        (error: unknown) => {
          logger.error('cannot make the model manifest', { error: String(error) });
          fail(call, status.INTERNAL, String(error));
        },
      );
    },
    getModelFile: (call) => {
      const { name } = call.request;
      const reason = refusal(call.request);
      if (reason !== undefined) {
        fail(call, status.FAILED_PRECONDITION, reason);
        return;
      }
      const opening = worker.openFile(name);
      if (opening === undefined) {
        fail(call, status.NOT_FOUND, `no model file of the name '${name}' is offered`);
        return;
      }
      opening.then(
        (content) => streamOut(call, fileChunks(content)),
        (error: unknown) => {
          logger.error('cannot open a model file', { name, error: String(error) });
          fail(call, status.INTERNAL, String(error));
        },
      );
    },
  };
}

async function* fileChunks(content: AsyncIterable<Buffer>): AsyncGenerator<ModelFileChunk> {
  for await (const bytes of content) {
    for (const data of chunksOf(bytes)) yield { data };
  }
}
