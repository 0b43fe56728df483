/** UpdateStatus: the heartbeat. */
import type { UpdateStatusRequest, UpdateStatusResponse } from '../../../gen/model_express/p2p.js';
import type { MetadataStore } from '../../stores/store.js';
import { type Answer, done, invalid, missing } from './answer.js';
import { isStatus } from './status.js';

/**
 * Sets a worker's status, with the server's own time; any status may follow any other. An unknown worker gets
 * success=false: publishers take two of these in a row as the sign to publish again.
 *
 * @param now unix milliseconds.
 * @throws what the store throws.
 */
export async function updateStatus(store: MetadataStore, request: UpdateStatusRequest, now: number): Promise<Answer<UpdateStatusResponse>> {
  const { mxSourceId, workerId, workerRank, status, sourceLoad } = request;
  if (mxSourceId === '') return invalid(updateRefused('mx_source_id is required'));
  if (workerId === '') return invalid(updateRefused('worker_id is required'));
  if (!isStatus(status)) return invalid(updateRefused(`invalid status value: ${String(status)}`));
  const known = await store.updateStatus(mxSourceId, workerId, workerRank, { status, updatedAt: BigInt(Math.trunc(now)), sourceLoad });
  if (!known) {
    const reason = `update_status: rank ${String(workerRank)} not found in source '${mxSourceId}' worker '${workerId}'`;
    return missing(updateFailed(reason));
  }
  return done({ success: true, message: `Updated status for source '${mxSourceId}' worker_id '${workerId}' rank ${String(workerRank)}` });
}

export function updateFailed(reason: string): UpdateStatusResponse {
  return updateRefused(`Failed to update status: ${reason}`);
}

function updateRefused(message: string): UpdateStatusResponse {
  return { success: false, message };
}
