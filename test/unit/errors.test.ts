import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { toWeightcastError } from '#src/errors.js';

describe('a gRPC status', () => {
  const cases: [status, string, string][] = [
    [status.UNAVAILABLE, 'No connection established', 'ERR_SERVER_UNREACHABLE'],
    [status.DEADLINE_EXCEEDED, 'Deadline exceeded', 'ERR_SERVER_UNREACHABLE'],
    [status.UNAUTHENTICATED, 'missing or invalid service account token', 'ERR_UNAUTHENTICATED'],
    [status.PERMISSION_DENIED, 'service account a:b is not in the allowlist', 'ERR_PERMISSION_DENIED'],
    [status.RESOURCE_EXHAUSTED, 'more than 10 calls a second (limit callRatePerClient); try again later', 'ERR_OVERLOADED'],
    [status.RESOURCE_EXHAUSTED, 'Bandwidth exhausted or memory limit exceeded', 'ERR_OVERLOADED'],
    [status.RESOURCE_EXHAUSTED, 'Received message larger than max (105906176 vs 104857600) (limit messageBytes)', 'ERR_SERVER'],
    [status.RESOURCE_EXHAUSTED, 'Attempted to send message with a size larger than 104857600', 'ERR_SERVER'],
    [status.RESOURCE_EXHAUSTED, 'SERVER: Received message larger than max (8 vs. 4)', 'ERR_SERVER'],
    [status.UNIMPLEMENTED, 'unknown service', 'ERR_SERVER'],
  ];
  for (const [code, details, expected] of cases) {
    it(`${status[code]} "${details}" is ${expected}`, () => {
      const foreign: ServiceError = Object.assign(new Error(details), { code, details, metadata: new Metadata() });
      const error = toWeightcastError(foreign, { doing: 'cannot list', peer: 'mx:1' });
      assert.equal(error.code, expected);
      assert.equal(error.grpcStatus, code);
      assert.equal(error.message, `cannot list: gRPC ${status[code]} at mx:1: ${details}`);
    });
  }
});
