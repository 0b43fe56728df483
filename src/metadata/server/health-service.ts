/** `model_express.health.HealthService`: ModelExpress' own health call. Probes use `grpc.health.v1.Health`. */
import type { handleUnaryCall } from '@grpc/grpc-js';
import { type HealthRequest, type HealthResponse, HealthServiceService } from '../../gen/model_express/health.js';
import { type AddService, service } from '../../rpc/endpoint.js';

/** @param version what the server says that it is. @param now milliseconds of a clock that never goes back. */
export function healthService(version: string, now = (): number => performance.now()): AddService {
  let firstCallAt: number | undefined;
  const getHealth: handleUnaryCall<HealthRequest, HealthResponse> = (_call, callback) => {
    // Peers count from their first call, as ModelExpress does, so that the first answer is 0.
    firstCallAt ??= now();
    callback(null, { version, status: 'ok', uptime: BigInt(Math.floor((now() - firstCallAt) / 1000)) });
  };
  return service(HealthServiceService, { getHealth });
}
