/** What a job's calls are: method, requests, and how a good reply is told from a bad one without decoding it. */
import { WeightcastError } from '../../errors.js';
import {
  P2pServiceService as P2pService,
  PublishMetadataResponse,
  SourceStatus,
  UpdateStatusResponse,
} from '../../gen/model_express/p2p.js';
import { FieldReader } from '../../metadata/wire/fields.js';
import type { Method } from '../../rpc/rpc-client.js';
import type { Calls } from './job.js';
import { getRequest, heartbeatRequests, listRequest, publishRequests } from './requests.js';

/** Bytes in, bytes out: coding of messages is not what is measured. */
export interface Script {
  readonly method: Method<Buffer, Buffer>;
  /** Requests that there are; what is asked for is below it. */
  readonly count: number;
  readonly request: (index: number) => Buffer;
  /** @throws WeightcastError when the server refused in band, or answered with less than it should. */
  readonly check: (reply: Buffer) => void;
}

export async function scriptOf(calls: Calls): Promise<Script> {
  const { workers } = calls;
  switch (calls.method) {
    case 'publish':
      return {
        method: bytesOf(P2pService.publishMetadata.path),
        count: workers.count,
        request: await publishRequests(workers, Date.now()),
        check: (reply) => {
          if (!isTrue(reply)) throw refusal('ERR_PUBLISH_REFUSED', PublishMetadataResponse.decode(reply).message);
        },
      };
    case 'heartbeat':
      return {
        method: bytesOf(P2pService.updateStatus.path),
        count: workers.count,
        request: heartbeatRequests(workers, calls.status),
        check: (reply) => {
          // After an abort not every worker need have been published.
          if (calls.status === SourceStatus.SOURCE_STATUS_STALE) return;
          if (!isTrue(reply)) throw refusal('ERR_SERVER', UpdateStatusResponse.decode(reply).message);
        },
      };
    case 'list': {
      const request = listRequest(workers);
      return { method: bytesOf(P2pService.listSources.path), count: 1, request: () => request, check: holding(workers.count) };
    }
    case 'get': {
      const request = getRequest(workers);
      return {
        method: bytesOf(P2pService.getMetadata.path),
        count: 1,
        request: () => request,
        check: (reply) => {
          if (!isTrue(reply)) throw refusal('ERR_SERVER', 'the worker that was published is not found');
        },
      };
    }
  }
}

function bytesOf(path: string): Method<Buffer, Buffer> {
  return { path, requestSerialize: (bytes) => bytes, responseDeserialize: (bytes) => bytes };
}

/** Whether field 1, a bool that servers write first, is true. */
function isTrue(reply: Buffer): boolean {
  return reply[0] === 0x08 && reply[1] === 1;
}

/** Counts again only when the reply is longer or shorter than one that was good. */
function holding(workers: number): (reply: Buffer) => void {
  let good = -1;
  return (reply) => {
    if (reply.length === good) return;
    let found = 0;
    const reader = new FieldReader(reply);
    while (reader.next()) if (reader.field === 1) found++;
    if (found !== workers) {
      throw refusal(
        'ERR_SERVER',
        `${String(found)} of ${String(workers)} workers are listed as READY; fewer --workers, or a longer heartbeat time-out there?`,
      );
    }
    good = reply.length;
  };
}

function refusal(code: 'ERR_PUBLISH_REFUSED' | 'ERR_SERVER', reason: string): WeightcastError {
  return new WeightcastError(code, `bench: the metadata server did not do what it was asked: ${reason}`);
}
