// The same cases that every store must pass, through a real server and a client without anything of ours between.
import { Client, credentials } from '@grpc/grpc-js';
import { P2pServiceService } from '#src/gen/model_express/p2p.js';
import { MetadataServer } from '#src/metadata/server/server.js';
import { heartbeatTimeoutMs } from '../../support/p2p-calls.js';
import { p2pConformance } from '../../support/store-conformance.js';
import { call } from './support.js';

const { publishMetadata, listSources, getMetadata, updateStatus } = P2pServiceService;
const same = (bytes: Buffer): Buffer => bytes;

p2pConformance('over gRPC', async () => {
  const clock = { now: 1_700_000_000_000 };
  // The reaper reads the same clock, which the cases move about: one look, when there is nothing yet.
  const server = await MetadataServer.listen({
    listen: '127.0.0.1:0',
    clock: () => clock.now,
    heartbeatTimeoutMs,
    reaperIntervalMs: 1_000_000_000,
  });
  const client = new Client(server.address, credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
    'grpc.max_receive_message_length': 104_857_600,
  });
  return {
    calls: {
      clock,
      publish: (request) => call(client, { ...publishMetadata, requestSerialize: same }, request),
      list: (request) => call(client, { ...listSources, requestSerialize: same, responseDeserialize: same }, request),
      get: (request) => call(client, { ...getMetadata, responseDeserialize: same }, request),
      update: (request) => call(client, updateStatus, request),
    },
    close: async () => {
      client.close();
      await server.close(0);
    },
  };
});
