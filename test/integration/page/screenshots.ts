/** Makes docs/images of the page, with a fleet in many states: `npx tsc -b test && node build/test/integration/page/screenshots.js`. */
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions } from 'playwright-core';
import { HttpListener } from '#src/http/listener.js';
import { createPage } from '#src/daemon/page/page.js';
import { BackendFramework } from '#src/gen/model_express/p2p.js';
import { TransferState } from '#src/gen/weightcast/transfers.js';
import { MemoryStore } from '#src/metadata/stores/memory.js';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';
import { silentLogger } from '#src/observe/logger.js';
import { packageVersion } from '#src/version.js';
import { launchChromium } from '../../support/browser.js';
import { INITIALIZING, publish, READY, STALE, tensorSource } from '../../support/fleet.js';
import { id, report } from '../../support/transfer-reports.js';

const images = fileURLToPath(new URL('../../../../docs/images/', import.meta.url));
const { BACKEND_FRAMEWORK_SGLANG: SGLANG, BACKEND_FRAMEWORK_VLLM: VLLM } = BackendFramework;
const { TRANSFER_STATE_DONE: DONE, TRANSFER_STATE_FAILED: FAILED } = TransferState;

const ago = (seconds: number): { updatedAt: bigint } => ({ updatedAt: BigInt(Date.now() - seconds * 1000) });

async function fleet(): Promise<MemoryStore> {
  const store = new MemoryStore();
  const deepseek = {
    modelName: 'deepseek-ai/DeepSeek-V3',
    backendFramework: SGLANG,
    backendFrameworkVersion: '0.5.2',
    tensorParallelSize: 8,
    expertParallelSize: 8,
    dtype: 'float8_e4m3fn',
    quantization: 'fp8',
    revision: 'e815299b',
  };
  const loads = [0.34, 0.41, 0.12, 0.88, 0.05, 0.62, 0.27, 0.19];
  for (const [rank, sourceLoad] of loads.entries()) {
    const place = { accelerator: 'cuda', topology: { rack: 'r4', host: `gpu-0${String(rank >> 2)}` } };
    const workerId = `3f9a21c${String(rank)}`;
    const source = await publish(store, workerId, { workerRank: rank, ...place, ...tensorSource(1472, 58_500_000n) }, deepseek);
    const seconds = rank === 5 ? 104 : rank === 2 ? 57 : 3 * rank + 2;
    await store.updateStatus(source, workerId, rank, { status: READY, ...ago(seconds), sourceLoad });
  }
  const qwen = {
    modelName: 'Qwen/Qwen2.5-7B-Instruct',
    backendFramework: VLLM,
    tensorParallelSize: 1,
    dtype: 'bfloat16',
    revision: 'a09a3545',
  };
  const weights = tensorSource(339, 44_940_000n);
  await publish(store, 'b7d410e2', { accelerator: 'cuda', topology: { rack: 'r4' }, ...ago(11), ...weights }, qwen);
  await publish(store, '50cc9e1f', { accelerator: 'cuda', topology: { rack: 'r5' }, ...ago(26), ...weights }, qwen);
  await publish(store, 'e2008b3a', { accelerator: 'cuda', topology: { rack: 'r5' }, status: STALE, ...ago(760), ...weights }, qwen);
  const llama = { modelName: 'meta-llama/Llama-3.1-8B', backendFramework: VLLM, tensorParallelSize: 2, dtype: 'bfloat16' };
  for (const rank of [0, 1]) await publish(store, `91ab77d${String(rank)}`, { workerRank: rank, status: INITIALIZING, ...ago(4) }, llama);
  return store;
}

function pulls(): TransferLog {
  const log = new TransferLog();
  const deepseek = { modelName: 'deepseek-ai/DeepSeek-V3', transport: 'rdma' };
  const qwen = { modelName: 'Qwen/Qwen2.5-7B-Instruct', workerId: 'b7d410e2', transport: 'rdma' };
  const shard = 1472n * 58_500_000n;
  const whole = 339n * 44_940_000n;
  const done = { state: DONE, bytes: whole, totalBytes: whole };
  log.report(report({ ...qwen, ...done, transferId: id(1), target: 'gpu-11', wireMs: 352n, elapsedMs: 1410n }));
  log.report(report({ ...qwen, ...done, transferId: id(2), target: 'edge-3', transport: 'tcp', wireMs: 6130n, elapsedMs: 7380n }));
  const error = 'ERR_PEER_LOST: rank 5 of deepseek-ai/DeepSeek-V3: the peer 10.4.1.5:40213 does not answer any more (RETRY_EXC)';
  const failed = { state: FAILED, bytes: shard / 5n, totalBytes: shard, wireMs: 1460n, elapsedMs: 2950n, error };
  log.report(report({ ...deepseek, ...failed, transferId: id(3), workerId: '3f9a21c5', workerRank: 5, target: 'gpu-12' }));
  const running = { totalBytes: shard, wireMs: 1400n, elapsedMs: 2200n };
  log.report(report({ ...deepseek, ...running, transferId: id(4), workerId: '3f9a21c0', target: 'gpu-12', bytes: (shard * 78n) / 100n }));
  log.report(
    report({
      ...deepseek,
      ...running,
      transferId: id(5),
      workerId: '3f9a21c1',
      workerRank: 1,
      target: 'gpu-12',
      bytes: (shard * 41n) / 100n,
    }),
  );
  return log;
}

const store = await fleet();
/** A server that has been up for a while. */
let upMs = 4 * 86_400_000;
const page = createPage({
  store,
  clock: () => Date.now() - upMs,
  heartbeatTimeoutMs: 90_000,
  transfers: pulls(),
  version: packageVersion(),
  backend: store.name,
});
upMs = 0;
const listener = await HttpListener.open({ address: { host: '127.0.0.1', port: 0 }, routes: page.routes, logger: silentLogger });
const browser = await launchChromium();

async function shoot(name: string, options: BrowserContextOptions, fullPage: boolean): Promise<void> {
  const opened = await (await browser.newContext(options)).newPage();
  await opened.goto(`http://${listener.address}/`);
  await opened.locator('#live[data-state="live"]').waitFor();
  await opened.screenshot({ path: `${images}${name}.png`, fullPage });
}

await shoot('metadata-server', { viewport: { width: 1280, height: 900 } }, true);
await shoot('metadata-server-phone', { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true }, false);
await browser.close();
page.close();
await listener.close(0);
