/** Files are written while the rest is read: looked at while the peer holds the rest back, and when that goes wrong. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, open, readdir, readFile, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { readHeader } from '#src/model/safetensors.js';
import { pull, type Pull, type PullResult, type PullSettings } from '#src/target/index.js';
import { pattern, temporaryFolder } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { tensorsOf, type Weights } from '../../support/mooncake/faults.js';
import { place } from '../../support/mooncake/simulated/memory.js';
import { p3 } from '../../support/mooncake/simulated/profiles.js';
import { SimulatedSeed } from '../../support/mooncake/simulated/seed.js';

const MiB = 1 << 20;
const sliceBytes = 4 * MiB;
/** What a directory's writer writes at once. */
const chunkBytes = 16 * MiB;
/** Three tensors of 72 MiB and some bytes: 19 slices, of which the first eight fill one chunk for certain. */
const sizes = [40 * MiB + 12_345, 3, 32 * MiB + 777];
const heldFrom = 8;

const folder = await temporaryFolder();

interface HeldSeed {
  readonly seed: SimulatedSeed;
  readonly weights: Weights;
  /** Answers that were asked for. */
  asked(): number;
  release(): void;
}

/** A seed that answers `from` reads, not before `first`, and holds the others back until it is released. */
async function heldSeed(from = heldFrom, first = Promise.resolve()): Promise<HeldSeed> {
  const weights = place([sizes.map((bytes, index) => [`t${String(index)}`, pattern(bytes, index)] as const)]);
  let asked = 0;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const seed = await SimulatedSeed.start(p3, {
    buffers: weights.buffers,
    fault: async ({ bytes, number }) => {
      asked = number + 1;
      await first;
      if (number >= from) await released;
      return { bytes };
    },
  });
  return { seed, weights, asked: () => asked, release };
}

function start({ seed, weights }: HeldSeed, path: string, settings: Partial<PullSettings> = {}): Pull {
  return pull({
    ...{ host: '127.0.0.1', transport: 'tcp', connections: 2, sliceBytes, ...settings },
    session: { id: seed.address, tensors: tensorsOf(weights) },
    into: { kind: 'directory', path },
  });
}

/** The file that is being written beside `path`; `undefined` while there is none. */
async function partial(path: string): Promise<string | undefined> {
  const parent = join(path, '..');
  const name = (await readdir(parent)).find((entry) => entry.startsWith('.out.partial-'));
  if (name === undefined) return undefined;
  const file = (await readdir(join(parent, name)))[0];
  return file === undefined ? undefined : join(parent, name, file);
}

/** All the data of one safetensors file as it should be, in the order of addresses. */
function dataOf({ buffers }: Weights): Buffer {
  return Buffer.concat(buffers.map(({ bytes }) => bytes));
}

/** Waits until the first chunk is in the file, to the last byte. */
async function firstChunkWritten(path: string, weights: Weights): Promise<void> {
  await eventually('the first chunk', async () => {
    const file = await partial(path);
    if (file === undefined || (await stat(file)).size < chunkBytes) return undefined;
    await using handle = await open(file);
    const { buffer } = await handle.read(Buffer.alloc(chunkBytes), 0, chunkBytes, 0);
    const start = 8 + Number(buffer.readBigUInt64LE(0));
    return buffer.subarray(start).equals(dataOf(weights).subarray(0, chunkBytes - start)) ? true : undefined;
  });
}

async function assertWhole(path: string, weights: Weights): Promise<void> {
  const file = join(path, 'model.safetensors');
  const { tensors } = await readHeader(file);
  assert.deepEqual(
    tensors.map(({ name }) => name),
    sizes.map((_, index) => `t${String(index)}`),
  );
  const bytes = await readFile(file);
  assert.ok(bytes.subarray(8 + Number(bytes.readBigUInt64LE(0))).equals(dataOf(weights)));
}

function written({ output }: PullResult): bigint {
  assert.equal(output.kind, 'directory');
  return output.writtenWhileReading;
}

async function emptyFolder(context: TestContext): Promise<string> {
  const made = join(folder, context.name.replaceAll(/\W+/g, '-').slice(0, 60));
  await mkdir(made);
  return made;
}

test('what has landed is in its file while the peer still holds the rest back', async (context) => {
  const place = await emptyFolder(context);
  const path = join(place, 'out');
  const held = await heldSeed();
  const running = start(held, path);
  await firstChunkWritten(path, held.weights);
  assert.ok(held.asked() > heldFrom, 'the peer is asked for more');
  assert.equal((await readdir(place)).includes('out'), false, 'nothing is to be seen at its place');
  held.release();
  const early = written(await running);
  assert.ok(early >= chunkBytes - MiB && early <= dataOf(held.weights).length, String(early));
  await assertWhole(path, held.weights);
  assert.deepEqual(await readdir(place), ['out']);
});

test('of two reads, only the second is written', async (context) => {
  const path = join(await emptyFolder(context), 'out');
  const held = await heldSeed(18);
  const running = start(held, path, { verify: 'twice' });
  await eventually('the last read', () => (held.asked() > 18 ? true : undefined));
  // Ten times as long as landed chunks may wait to be told.
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(await partial(path), undefined);
  held.release();
  const result = await running;
  assert.equal(result.verified?.bytesReadTwice, result.bytes);
  await assertWhole(path, held.weights);
});

test('a peer that is killed in the middle leaves nothing of what was written', async (context) => {
  const place = await emptyFolder(context);
  const held = await heldSeed();
  const running = start(held, join(place, 'out'));
  const failed = assert.rejects(async () => running, { code: /^ERR_(PEER_LOST|SOURCE_GONE|HANDSHAKE)$/ });
  await firstChunkWritten(join(place, 'out'), held.weights);
  await held.seed.kill();
  await failed;
  assert.deepEqual(await readdir(place), []);
});

test('an abort in the middle leaves nothing of what was written', async (context) => {
  const place = await emptyFolder(context);
  const held = await heldSeed();
  const abort = new AbortController();
  const running = start(held, join(place, 'out'), { signal: abort.signal });
  const failed = assert.rejects(async () => running, { code: 'ERR_ABORTED' });
  await firstChunkWritten(join(place, 'out'), held.weights);
  abort.abort();
  await failed;
  assert.deepEqual(await readdir(place), []);
});

/** A file system of 96 MiB of its own; `undefined` where nobody may mount one, and the test is skipped. */
async function smallDisk(context: TestContext): Promise<string | undefined> {
  const place = await emptyFolder(context);
  const run = promisify(execFile);
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'none', place]);
  } catch (error) {
    context.skip(`no right to mount here: ${String(error)}`);
    return undefined;
  }
  context.after(() => run('umount', ['-l', place]));
  return place;
}

/** Somebody else takes what is left, all but less than a chunk. */
async function fill(place: string): Promise<void> {
  const { bavail, bsize } = await statfs(place);
  await writeFile(join(place, 'others'), Buffer.alloc(bavail * bsize - 8 * MiB));
}

function diskFull(path: string): (error: Error & { code?: string; file?: string }) => true {
  return ({ code, message, file }) => {
    assert.equal(code, 'ERR_DISK_FULL', message);
    assert.match(message, /^cannot write to .*\/out: ENOSPC/);
    assert.equal(file, path);
    return true;
  };
}

test('a disk that fills up after some of it was written is an error, and nothing of the model is left on it', async (context) => {
  const place = await smallDisk(context);
  if (place === undefined) return;
  const path = join(place, 'out');
  const held = await heldSeed();
  const failed = assert.rejects(async () => start(held, path), diskFull(path));
  await firstChunkWritten(path, held.weights);
  await fill(place);
  held.release();
  await failed;
  assert.deepEqual(await readdir(place), ['others']);
});

test('a disk that is full by now ends the read, which would not end by itself', async (context) => {
  const place = await smallDisk(context);
  if (place === undefined) return;
  const path = join(place, 'out');
  let open = (): void => undefined;
  const filled = new Promise<void>((resolve) => {
    open = resolve;
  });
  const held = await heldSeed(16, filled);
  const failed = assert.rejects(async () => start(held, path, { stallTimeoutMs: 600_000 }), diskFull(path));
  await eventually('the first read', () => (held.asked() > 0 ? true : undefined));
  await fill(place);
  open();
  await failed;
  assert.deepEqual(await readdir(place), ['others']);
});
