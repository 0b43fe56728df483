/** scripts/gpu-check: what it says without a GPU, and that it runs through what can be tried with the stand-in. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { standinDriver } from '../../support/standin.js';

const root = new URL('../../../../', import.meta.url);
const check = fileURLToPath(new URL('scripts/gpu/main.mjs', root));
const torch = fileURLToPath(new URL('test/support/engine', root));

async function run(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [check, ...args], { env: { ...process.env, ...env } });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}

test('without a GPU it says so, and ends with a code of its own', async () => {
  const { code, out } = await run({ WEIGHTCAST_CUDA_LIB: '/nowhere/libcuda.so.1' });
  assert.equal(code, 3);
  assert.match(out, /^no NVIDIA GPU here: CUDA is not available: .*\/nowhere\/libcuda\.so\.1/);
});

test('it refuses a size that is none', async () => {
  const { code, err } = await run({}, 'much');
  assert.equal(code, 2);
  assert.match(err, /'much'/);
});

test('with the stand-in it goes through each way, and through an engine in another process', async () => {
  const { code, out, err } = await run({ WEIGHTCAST_CUDA_LIB: standinDriver, PYTHONPATH: torch, WEIGHTCAST_PYTHON: 'python3' }, '32');
  assert.equal(code, 0, out + err);
  assert.match(out, /^works +[\d.]+ {2}staging over tcp, cuda:0 into cuda:1\n +33554432 bytes verified$/m);
  assert.match(out, /^works +[\d.]+ {2}CUDA IPC: one engine served, another filled$/m);
  assert.match(out, /dma-buf over rdma/);
  assert.match(out, /peer-memory over rdma/);
});

test('what should work and does not is a failure, with the reason', async () => {
  const refused = { WEIGHTCAST_STANDIN_REFUSE: 'cuStreamCreate=801' };
  const { code, out } = await run({ WEIGHTCAST_CUDA_LIB: standinDriver, WEIGHTCAST_PYTHON: '/nowhere/python', ...refused }, '32');
  assert.equal(code, 1);
  assert.match(out, /^FAILED .*staging over tcp/m);
  assert.match(out, /cuStreamCreate/);
  assert.match(out, /^not here +CUDA IPC[^\n]*\n +\/nowhere\/python has no PyTorch/m);
});
