// Each way to a GPU's memory, forced in turn: from one GPU into another (or the same one), by a process each.
import path from 'node:path';
import { pull } from '../../dist/index.js';
import { root } from '../testing/shell.mjs';
import { service } from '../compare/processes.mjs';

const program = path.join(root, 'scripts/gpu/seed.mjs');

/**
 * @param {{ accelerators: readonly object[], peerMemory: string, nics: readonly object[] }} here
 * @param {number} bytes of a pull
 * @returns {Promise<object[]>} rows of the table
 */
export async function checkPaths(here, bytes) {
  const gpus = here.accelerators.filter(({ kind }) => kind === 'cuda');
  const from = gpus[0];
  const into = gpus.at(-1);
  const rows = [];
  for (const each of waysOf(here, from)) {
    const what = `${each.devicePath} over ${each.transport}, cuda:${from.ordinal} into cuda:${into.ordinal}`;
    if (each.missing !== '') rows.push({ what, result: 'not here', reason: each.missing });
    else rows.push({ what, ...(await tried(() => pulled(each, from.ordinal, into.ordinal, bytes))) });
  }
  return rows;
}

/** What is expected of this machine: the first reason why a way cannot work here, or ''. */
function waysOf({ nics, peerMemory }, gpu) {
  const nic = nics.length > 0 ? '' : 'there is no active RDMA device';
  const imports = nics.some(({ dmabuf }) => dmabuf) ? '' : `no RDMA device imports dma-bufs: ${nics[0]?.dmabufReason ?? ''}`;
  return [
    { devicePath: 'dma-buf', transport: 'rdma', missing: nic || (gpu.dmabuf ? imports : gpu.dmabufReason) },
    { devicePath: 'peer-memory', transport: 'rdma', missing: nic || (peerMemory === '' ? 'no peer-memory module is loaded' : '') },
    { devicePath: 'staging', transport: 'rdma', missing: nic },
    { devicePath: 'staging', transport: 'tcp', missing: '' },
  ];
}

async function pulled({ devicePath, transport }, from, into, bytes) {
  const { ready, stop } = await service([process.execPath, program, JSON.stringify({ bytes, device: from, devicePath, transport })]);
  try {
    const result = await pull({
      server: ready.address,
      identity: { modelName: 'gpu-check' },
      host: '127.0.0.1',
      transport,
      devicePath,
      into: { kind: 'discard', on: { cuda: into } },
    });
    const ways = [ready.deviceMemory?.path, result.deviceMemory?.path];
    if (result.transport !== transport) throw new Error(`the pull went over ${result.transport}: ${result.transportReason}`);
    if (ways.some((way) => way !== devicePath)) throw new Error(`the seed took ${ways[0]}, the target ${ways[1]}`);
    if (Number(result.verified?.bytes) !== bytes) throw new Error(`verified ${result.verified?.bytes ?? 0} of ${bytes} bytes`);
    return {
      gigabytes: result.wireGBps,
      reason: `${bytes} bytes verified${result.software ? '; a software device, not RDMA hardware' : ''}`,
    };
  } finally {
    await stop();
  }
}

/** A row's end: what it brought, or why not. */
export async function tried(what) {
  try {
    return { result: 'works', ...(await what()) };
  } catch (error) {
    return { result: 'FAILED', reason: error.message };
  }
}
