import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { mirrorSummaryLines } from '#src/cli/mirror-summary.js';
import { modelNameOf } from '#src/cli/model-name.js';
import { pullSummaryLines, transportText } from '#src/cli/pull-summary.js';
import { seedSummaryLines, tcpServedText } from '#src/cli/seed-summary.js';
import type { Region } from '#src/region.js';
import type { SeedSummary } from '#src/seed/index.js';
import type { PullResult } from '#src/target/index.js';

const result: PullResult = {
  origin: { kind: 'registry', server: '127.0.0.1:8001' },
  sourceId: '0123456789abcdef',
  workerId: 'w1',
  rank: 0,
  peer: '10.0.0.1:15001',
  accelerator: '',
  selector: 'random',
  attempts: [],
  tensors: 339,
  bytes: 256_000_000n,
  transport: 'rdma',
  transportReason: '',
  software: true,
  lanes: [
    {
      name: 'rxe0>rxe0',
      localDevice: 'rxe0',
      remoteDevice: 'rxe0',
      bytes: 130_000_000n,
      workRequests: 124,
      retransmits: 0,
      smallestReadBytes: undefined,
      firstByteMs: 1.5,
      failure: '',
    },
    {
      name: 'rxe1>rxe1',
      localDevice: 'rxe1',
      remoteDevice: 'rxe1',
      bytes: 126_000_000n,
      workRequests: 121,
      retransmits: 38,
      smallestReadBytes: 65_536,
      firstByteMs: 1.7,
      failure: 'RETRY_EXC_ERR',
    },
  ],
  workRequests: 245,
  phases: { discover: 12, prepare: 3, register: 40, connect: 5, wire: 3000, verify: 60, write: 0 },
  totalMs: 3120,
  wireGBps: 0.0853,
  registrations: 1,
  eventLoopMaxDelayMs: 4,
  verified: { algorithm: 'xxh3-64', tensors: 339, bytes: 256_000_000n, bytesWhileReading: 250_000_000n, bytesReadTwice: 0n },
  notes: ['the seed sent no tokenizer'],
  output: { kind: 'directory', path: '/tmp/out', files: ['model.safetensors', 'config.json'], writtenWhileReading: 1024n },
};

describe('the summary of pull', () => {
  it('names what was used, how much, how fast and what was verified', () => {
    const text = pullSummaryLines(result).join('\n');
    for (const part of [
      /source +0123456789abcdef, worker w1, rank 0, at 10\.0\.0\.1:15001/,
      /tensors +339, 256\.00 MB/,
      /transport +rdma \(software RDMA, rxe: not the speed of hardware\)/,
      /devices +rxe0, rxe1 here, rxe0, rxe1 there/,
      /speed +0\.085 GB\/s on the wire, 3\.12 s in all/,
      /requests +245/,
      /phases +discover 12 ms, prepare 3\.0 ms, register 40 ms, connect 5\.0 ms, wire 3\.00 s, verify 60 ms\n/,
      /verified +all 339 tensors, 256\.00 MB, xxh3-64; 250\.00 MB of it hashed while reading\n/,
      /output +\/tmp\/out \(2 files; 1.02 kB written while reading\)/,
      /rxe0>rxe0 +130\.00 MB +124 requests +first byte after 1\.5 ms/,
      /rxe1>rxe1 .*38 retransmissions +reads down to 65\.54 kB +ended early: RETRY_EXC_ERR/,
      /note: the seed sent no tokenizer/,
    ]) {
      assert.match(text, part);
    }
  });

  it("says how an accelerator's memory was reached, and that it stays while the process does", () => {
    const deviceMemory = { devices: ['cuda:0'], path: 'staging', reason: 'this is tcp' } as const;
    const region = { byteLength: 1n } as unknown as Region;
    const lines = pullSummaryLines({ ...result, deviceMemory, output: { kind: 'memory', region, tensors: [] } }).join('\n');
    assert.match(lines, /^accelerator +cuda:0, through host memory \(staging\): this is tcp$/m);
    assert.match(lines, /^output +memory of cuda:0, held until a signal ends this process$/m);
    const direct = pullSummaryLines({ ...result, deviceMemory: { ...deviceMemory, path: 'dma-buf', reason: '' } }).join('\n');
    assert.match(direct, /^accelerator +cuda:0, by dma-buf$/m);
    assert.doesNotMatch(pullSummaryLines(result).join('\n'), /accelerator/);
  });

  it('names the sources that failed before, a line each', () => {
    const failed = { sourceId: 's', workerId: 'w0', code: 'ERR_PEER_LOST', message: 'died\nat once', ms: 12, counted: true } as const;
    const text = pullSummaryLines({ ...result, selector: 'load_aware', attempts: [failed] }).join('\n');
    assert.match(text, /chosen +by load_aware, after 1 that failed/);
    assert.match(text, /^failed: worker w0 after 12 ms: ERR_PEER_LOST: died at once$/m);
    assert.match(pullSummaryLines(result).join('\n'), /chosen +by random\n/);
  });

  it('names the origin where no server was asked, and nothing that only a server knows', () => {
    const ids = { sourceId: '', workerId: '', selector: '', rank: 3 };
    const sglang = pullSummaryLines({ ...result, ...ids, origin: { kind: 'sglang', url: 'http://10.0.0.5:30000' } }).join('\n');
    assert.match(sglang, /^source +rank 3 of SGLang at http:\/\/10\.0\.0\.5:30000, session 10\.0\.0\.1:15001$/m);
    assert.doesNotMatch(sglang, /chosen/);
    const session = pullSummaryLines({ ...result, ...ids, origin: { kind: 'session', id: result.peer } }).join('\n');
    assert.match(session, /^source +session 10\.0\.0\.1:15001$/m);
  });

  it('says why not RDMA, and when nothing was verified', () => {
    const tcp: PullResult = {
      ...result,
      transport: 'tcp',
      software: false,
      transportReason: 'no device',
      verified: undefined,
      output: { kind: 'discard' },
    };
    const text = pullSummaryLines(tcp).join('\n');
    assert.match(text, /transport +tcp \(not rdma: no device\)/);
    assert.doesNotMatch(text, /devices/);
    assert.match(text, /verified +nothing: these bytes were not compared/);
    assert.match(text, /output +discarded/);
    const partly = pullSummaryLines({
      ...result,
      verified: { algorithm: 'xxh3-64', tensors: 1, bytes: 5n, bytesWhileReading: 0n, bytesReadTwice: 0n },
    }).join('\n');
    assert.match(partly, /verified +1 of 339 tensors, 5 B, xxh3-64\n/);
  });

  it('calls hardware just rdma', () => {
    assert.equal(transportText({ ...result, software: false }), 'rdma');
  });
});

const summary: SeedSummary = {
  sourceId: '0123456789abcdef',
  workerId: 'w1',
  rank: 3,
  sessionId: '10.0.0.1:15001',
  workerEndpoint: '10.0.0.1:40001',
  manifest: 'central',
  transports: ['rdma', 'tcp'],
  devices: ['rxe0'],
  softwareDevices: ['rxe0'],
  transportReason: '',
  tensors: 1000,
  bytes: 5_000_000_000n,
  backing: 'mapped',
  copiedBecause: '',
  registrations: 4,
  phases: { open: 1, prepare: 0, register: 200, checksum: 900, publish: 20 },
  notes: [],
};

describe('the summary of seed', () => {
  it('has what targets need and how the files are served', () => {
    const lines = seedSummaryLines('org/m', '10.0.0.9:8001', summary);
    const text = lines.join('\n');
    for (const part of [
      /model +org\/m/,
      /source id +0123456789abcdef/,
      /rank +3/,
      /session id +10\.0\.0\.1:15001/,
      /manifest +tensors at the server, the rest at 10\.0\.0\.1:40001/,
      /transports +rdma, tcp/,
      /devices +rxe0 \(software RDMA\)/,
      /tensors +1,000, 5\.00 GB/,
      /memory +files are served from the page cache, not copied; 4 registered on each device/,
      /phases +open 1\.0 ms, register 200 ms, checksum 900 ms, publish 20 ms/,
    ]) {
      assert.match(text, part);
    }
    assert.equal(lines.at(-1), 'ready');
  });

  it('says why not RDMA and why it copied', () => {
    const text = seedSummaryLines('m', 's:1', {
      ...summary,
      transports: ['tcp'],
      devices: [],
      transportReason: 'no device',
      backing: 'copied',
      copiedBecause: 'EFAULT',
    }).join('\n');
    assert.match(text, /transports +tcp \(not rdma: no device\)/);
    assert.match(text, /memory +files are copied into memory: EFAULT/);
  });

  it("says how peers read an accelerator's memory", () => {
    const direct = { devices: ['cuda:0'], path: 'peer-memory', reason: 'no dma-buf' } as const;
    const lines = seedSummaryLines('m', 's:1', { ...summary, backing: 'device', deviceMemory: direct }).join('\n');
    assert.match(lines, /^memory +of the accelerator, not copied/m);
    assert.match(lines, /^accelerator +cuda:0, by peer-memory: no dma-buf$/m);
    const copied = { ...summary, backing: 'copied', deviceMemory: { ...direct, path: 'staging' } } as const;
    assert.match(seedSummaryLines('m', 's:1', copied).join('\n'), /^memory +a copy in the memory of the host/m);
  });

  it('says where SGLang finds it, and nothing of a server that is not there', () => {
    const sglang = { url: 'http://10.0.0.1:30000', registeredAt: 'http://10.0.0.2:6789' };
    const text = seedSummaryLines('m', undefined, { ...summary, manifest: 'none', workerEndpoint: '', sglang }).join('\n');
    assert.match(text, /sglang +answers at http:\/\/10\.0\.0\.1:30000, registered at http:\/\/10\.0\.0\.2:6789\n/);
    assert.doesNotMatch(text, /server|manifest|source id/);
    const both = seedSummaryLines('m', 's:1', { ...summary, sglang: { ...sglang, registeredAt: '' } }).join('\n');
    assert.match(both, /server +s:1\nsglang +answers at http:\/\/10\.0\.0\.1:30000\n/);
  });

  it('says that the server has no tensors, and what is to be noted', () => {
    const text = seedSummaryLines('m', 's:1', { ...summary, manifest: 'worker', notes: ['the list is large'] }).join('\n');
    assert.match(text, /manifest +all at 10\.0\.0\.1:40001, none at the server/);
    assert.match(text, /\nnote: the list is large\nready$/);
  });
});

describe('what a seed has sent over TCP', () => {
  const served = {
    ...{ connections: 4, requests: 1000, rejected: 0, bytes: 5_000_000_000n },
    ...{ zeroCopyBytes: 4_000_000_000n, zeroCopyRefused: 0, zeroCopyCrowded: 0 },
  };

  it('is told with what of it was not copied', () => {
    assert.equal(tcpServedText(served), 'sent over TCP: 5.00 GB in 1,000 answers, 4.00 GB of it without a copy');
  });

  it('is told with the reasons where the kernel copied', () => {
    const text = tcpServedText({ ...served, zeroCopyBytes: 0n, zeroCopyRefused: 4, zeroCopyCrowded: 2000 });
    assert.match(text, /0 B of it without a copy \(on 4 connections the kernel copied anyway; 2,000 pieces met net\.core\.optmem_max/);
  });
});

describe('the summary of mirror', () => {
  const { output: _, ...source } = result;

  it('says where the weights are from, how they came, and then what a seed says', () => {
    const lines = mirrorSummaryLines('org/m', 's:1', { ...summary, source });
    const text = lines.join('\n');
    for (const part of [
      /^mirror of +0123456789abcdef, worker w1, rank 0, at 10\.0\.0\.1:15001\n/,
      /read over +rdma \(software RDMA, .*\), 0\.085 GB\/s on the wire, 3\.12 s in all\n/,
      /verified +all 339 tensors, 256\.00 MB, xxh3-64; 250\.00 MB of it hashed while reading\n/,
      /note: the seed sent no tokenizer\nmodel +org\/m\n/,
    ]) {
      assert.match(text, part);
    }
    assert.equal(lines.at(-1), 'ready');
  });

  it('says what was read twice, what failed before, and what was not verified', () => {
    const verified = {
      algorithm: 'xxh3-64',
      tensors: 339,
      bytes: 256_000_000n,
      bytesWhileReading: 0n,
      bytesReadTwice: 6_000_000n,
    } as const;
    const failed = { sourceId: 's', workerId: 'w0', code: 'ERR_SOURCE_GONE', message: 'gone', ms: 3, counted: true } as const;
    const twice = mirrorSummaryLines('m', 's:1', { ...summary, source: { ...source, verified, attempts: [failed] } }).join('\n');
    assert.match(twice, /verified +all 339 tensors, .*; 6\.00 MB of it read twice\nfailed: worker w0: ERR_SOURCE_GONE\n/);
    const unverified = mirrorSummaryLines('m', 's:1', { ...summary, source: { ...source, verified: undefined } }).join('\n');
    assert.match(unverified, /verified +nothing: these bytes were not compared/);
  });
});

describe('the name of a model', () => {
  let folder = '';
  after(() => rm(folder, { recursive: true }));

  it('is that of config.json, else that of the directory or the file', async () => {
    folder = await mkdtemp(join(tmpdir(), 'weightcast-name-'));
    const model = join(folder, 'tiny-model');
    await mkdir(model);
    assert.equal(await modelNameOf(model), 'tiny-model');
    assert.equal(await modelNameOf(`${model}/`), 'tiny-model');
    assert.equal(await modelNameOf(join(model, 'x.safetensors')), 'x.safetensors', 'what is not there has no kind');
    await writeFile(join(model, 'x.safetensors'), '');
    assert.equal(await modelNameOf(join(model, 'x.safetensors')), 'x');
    for (const [config, expected] of [
      ['{"_name_or_path":"org/name"}', 'org/name'],
      ['{"_name_or_path":"  "}', 'tiny-model'],
      ['{"_name_or_path":7}', 'tiny-model'],
      ['null', 'tiny-model'],
      ['{', 'tiny-model'],
    ] as const) {
      await writeFile(join(model, 'config.json'), config);
      assert.equal(await modelNameOf(model), expected, config);
    }
  });
});
