/** `model_express.api.ApiService`: answers `ping`. */
import type { handleUnaryCall } from '@grpc/grpc-js';
import { type ApiRequest, type ApiResponse, ApiServiceService } from '../../gen/model_express/api.js';
import { type AddService, service } from '../../rpc/endpoint.js';

const pong = Buffer.from(JSON.stringify({ message: 'pong' }));

export function apiService(): AddService {
  const sendRequest: handleUnaryCall<ApiRequest, ApiResponse> = ({ request: { action } }, callback) => {
    if (action === 'ping') callback(null, { success: true, data: pong, error: undefined });
    else callback(null, { success: false, data: undefined, error: `Unknown action: ${action}` });
  };
  return service(ApiServiceService, { sendRequest });
}
