// An engine in another process (examples/engine-cuda-ipc.py, which needs PyTorch): its tensors served, and others of it filled.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MetadataServer, silentLogger } from '../../dist/index.js';
import { start } from '../compare/processes.mjs';
import { root } from '../testing/shell.mjs';
import { tried } from './paths.mjs';

const python = process.env.WEIGHTCAST_PYTHON ?? 'python3';
const example = path.join(root, 'examples/engine-cuda-ipc.py');
const cli = path.join(root, 'dist/cli/main.js');
const TIMEOUT_MS = 120_000;

/** @returns {Promise<object[]>} rows of the table */
export async function checkEngine() {
  const what = 'CUDA IPC: one engine served, another filled';
  const torch = spawnSync(python, ['-c', 'import torch; torch.arange(0, 2, dtype=torch.float32, device="cuda")'], { encoding: 'utf8' });
  if (torch.status !== 0) {
    const said = (torch.error?.message ?? torch.stderr).trim().split('\n').at(-1);
    return [{ what, result: 'not here', reason: `${python} has no PyTorch with CUDA: ${said}` }];
  }
  return [{ what, ...(await tried(bothWays)) }];
}

async function bothWays() {
  const folder = mkdtempSync(path.join(tmpdir(), 'gpu-check-'));
  const server = await MetadataServer.listen({ listen: '127.0.0.1:0', logger: silentLogger });
  const running = [];
  const begun = (command) => {
    const child = start(command);
    running.push(child);
    return child;
  };
  try {
    const sockets = { offer: path.join(folder, 'offer'), fill: path.join(folder, 'fill') };
    const who = ['--server', server.address, '--model-name', 'gpu-check-engine'];
    await saying(begun([python, example, 'offer', sockets.offer]), 'listening');
    await saying(begun([process.execPath, cli, 'seed', '--cuda-ipc', sockets.offer, ...who, '--host', '127.0.0.1', '--json']), '"ready"');
    const filled = begun([python, example, 'fill', sockets.fill]);
    await saying(filled, 'listening');
    const puller = begun([process.execPath, cli, 'pull', '--into-cuda-ipc', sockets.fill, ...who, '--host', '127.0.0.1', '--json']);
    await saying(filled, 'right');
    if (puller.exitCode === null) await once(puller, 'close');
    const { wireGBps, transport, deviceMemory } = JSON.parse(puller.said.out);
    return { gigabytes: wireGBps, reason: `the engine compared its tensors; over ${transport}, ${deviceMemory.path}` };
  } finally {
    for (const child of running) child.kill('SIGTERM');
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

/** Waits until a process has printed a text. */
async function saying(child, text) {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!child.said.out.includes(text)) {
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(`${child.spawnargs.slice(0, 4).join(' ')} did not say ${text}: ${child.said.out}${child.said.err}`.trim());
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
