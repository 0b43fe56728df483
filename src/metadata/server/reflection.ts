/** Server reflection: tools such as grpcurl ask the server for its messages instead of for proto files. */
import { fileURLToPath } from 'node:url';
import type { Server } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProto } from 'grpc-health-check';
import type { OpenStreams } from './open-streams.js';

/** The package's proto/, seen from dist/metadata/server/ and from src/metadata/server/ alike. */
const protoFolder = fileURLToPath(new URL('../../../proto/', import.meta.url));

const protoFiles = ['model_express/p2p.proto', 'model_express/health.proto', 'model_express/api.proto', 'weightcast/transfers.proto'];

/** @param services full names of what is served; the files describe more. */
export function addReflection(server: Server, services: readonly string[], streams: OpenStreams): void {
  const definition = loadSync([...protoFiles, healthProto], { includeDirs: [protoFolder], keepCase: true });
  new ReflectionService(definition, { services: [...services] }).addToServer(streams.on(server));
}
