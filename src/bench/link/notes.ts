/** What must be said of a link wherever its figures stand. */
import type { Link } from './link.js';

export function linkNotes({ transport, transportReason, software, noCeiling }: Link): string[] {
  return [
    ...(software ? ['RDMA in software (Soft-RoCE): these are not figures of RDMA hardware'] : []),
    ...(transport === 'tcp' && transportReason !== '' ? [`TCP, not RDMA: ${transportReason}`] : []),
    ...(noCeiling === '' ? [] : [`no ceiling of the link is claimed: ${noCeiling}`]),
  ];
}
