/** Registration where the kernel or the device refuses: file mappings that cannot be pinned, keys that run out. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLogger } from '#src/observe/logger.js';
import { Region } from '#src/region.js';
import type { SeedContent } from '#src/seed/content.js';
import type { ContentRange } from '#src/seed/ranges.js';
import { register } from '#src/seed/register.js';
import { fault, gidOf, NicDouble } from '../../support/nic-double.js';

const bytes = 200_000;

/** Two files as regions, each in many ranges of 1000 bytes. */
async function twoFiles(test: TestContext): Promise<{ content: SeedContent; ranges: ContentRange[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'weightcast-register-'));
  const regions: Region[] = [];
  for (const name of ['a', 'b']) {
    await writeFile(join(folder, name), Buffer.alloc(bytes, name));
    regions.push(await Region.mapFile(join(folder, name), 0n, BigInt(bytes)));
  }
  test.after(async () => {
    for (const region of regions) region.close();
    await rm(folder, { recursive: true });
  });
  const content: SeedContent = { regions, tensors: [], weightFiles: [], modelFiles: [], close: () => undefined };
  const ranges = [0, 1].flatMap((region) =>
    Array.from({ length: bytes / 1000 }, (_, index) => ({ region, offset: BigInt(index * 1000), length: 1000n })),
  );
  return { content, ranges };
}

function refusal(): Error {
  return fault('Bad address; the kernel cannot pin this file mapping', 'REGISTRATION', 'ibv_reg_mr', 14);
}

test('a file that cannot be pinned is copied once, and all of its ranges are ranges of the copy', async (context) => {
  const { content, ranges } = await twoFiles(context);
  const [first, second] = content.regions;
  const nics = [new NicDouble('a', gidOf(1)), new NicDouble('b', gidOf(2))];
  let refusals = 0;
  nics[0]!.beforeRegister = () => undefined;
  nics[1]!.beforeRegister = (region) => {
    // Not at once: what was registered before is in the way of the copy.
    if (region === first?.handle && nics[1]!.registered.size >= 100) {
      refusals++;
      throw refusal();
    }
  };
  const registered = await register(nics, content, ranges, silentLogger);
  assert.ok(refusals > 0);
  assert.match(registered.copiedBecause, /cannot pin this file mapping/);
  assert.notEqual(content.regions[0], first);
  assert.equal(content.regions[0]?.handle.kind, 'anonymous');
  assert.deepEqual(Buffer.from(content.regions[0].view(BigInt(bytes - 5), 5)).toString(), 'aaaaa');
  assert.equal(content.regions[1], second);
  assert.deepEqual(
    registered.remoteKeys.map((keys) => keys.length),
    [ranges.length, ranges.length],
  );
  for (const [which, nic] of nics.entries()) {
    assert.equal(nic.registered.size, ranges.length);
    const byKey = new Map([...nic.registered].map((each) => [each.key, each]));
    for (const [index, range] of ranges.entries()) {
      const key = registered.remoteKeys[which]?.[index] ?? -1;
      const { region, offset, length, access } = byKey.get(key)!;
      assert.equal(region, content.regions[range.region]?.handle);
      assert.deepEqual([offset, length, access], [range.offset, range.length, 'remote-read']);
    }
  }
  await registered.close();
  assert.deepEqual([nics[0]!.registered.size, nics[1]!.registered.size], [0, 0]);
  content.regions[0].close();
});

test('a few large ranges are registered side by side, not one after the other', async () => {
  const region = await Region.allocate(800n << 20n);
  const content: SeedContent = { regions: [region], tensors: [], weightFiles: [], modelFiles: [], close: () => undefined };
  const nic = new NicDouble('a', gidOf(1));
  nic.beforeRegister = () => undefined;
  const calls: number[] = [];
  const registerAll = nic.registerAll.bind(nic);
  nic.registerAll = (regions, which, offset, length, path) => {
    calls.push(which.length);
    return registerAll(regions, which, offset, length, path);
  };
  const lengths = [200n, 200n, 100n, 100n, 200n].map((mebibytes) => mebibytes << 20n);
  const ranges = lengths.map((length, index) => ({
    region: 0,
    offset: lengths.slice(0, index).reduce((sum, each) => sum + each, 0n),
    length,
  }));
  const registered = await register([nic], content, ranges, silentLogger);
  assert.deepEqual(calls, [1, 1, 2, 1]);
  assert.equal(nic.registered.size, lengths.length);
  await registered.close();
  region.close();
});

test('files of one range each that cannot be pinned are registered as copies', async (context) => {
  const { content } = await twoFiles(context);
  const files = [...content.regions];
  const nic = new NicDouble('a', gidOf(1));
  nic.beforeRegister = (region) => {
    if (files.some((file) => file.handle === region)) throw refusal();
  };
  const ranges = [0, 1].map((region) => ({ region, offset: 0n, length: BigInt(bytes) }));
  const registered = await register([nic], content, ranges, silentLogger);
  assert.deepEqual(
    registered.remoteKeys.map((keys) => keys.length),
    [2],
  );
  assert.equal(nic.registered.size, 2);
  await registered.close();
  for (const region of content.regions) region.close();
});

test('what fails otherwise is an error, and nothing stays registered', async (context) => {
  const { content, ranges } = await twoFiles(context);
  const nic = new NicDouble('a', gidOf(1));
  nic.beforeRegister = () => {
    if (nic.registered.size >= 150) throw fault('raise ulimit -l', 'MEMLOCK_LIMIT', 'ibv_reg_mr', 12);
  };
  await assert.rejects(register([nic], content, ranges, silentLogger), { code: 'ERR_MEMLOCK_LIMIT' });
  assert.equal(nic.registered.size, 0);
});

test('a copy that cannot be pinned either is the end', async (context) => {
  const { content, ranges } = await twoFiles(context);
  const nic = new NicDouble('a', gidOf(1));
  nic.beforeRegister = () => {
    throw refusal();
  };
  await assert.rejects(register([nic], content, ranges, silentLogger), { code: 'ERR_REGISTRATION' });
  assert.equal(nic.registered.size, 0);
  for (const region of content.regions) region.close();
});

/** A region of an accelerator as far as registering goes, with nothing behind it. */
function deviceRegion(): Region {
  const device = { kind: 'cuda', ordinal: 0 } as const;
  return {
    device: { cuda: 0 },
    byteLength: BigInt(bytes),
    close: () => undefined,
    handle: { kind: 'device', device },
  } as unknown as Region;
}

test("an accelerator's memory is registered in one way on all devices: the first that all of them know", async () => {
  const host = await Region.allocate(BigInt(bytes));
  const content: SeedContent = { regions: [host, deviceRegion()], tensors: [], weightFiles: [], modelFiles: [], close: () => undefined };
  const nics = [new NicDouble('a', gidOf(1)), new NicDouble('b', gidOf(2))];
  const tried: string[] = [];
  for (const nic of nics) {
    nic.beforeRegister = (region, path) => {
      if (region.device === undefined) return;
      tried.push(`${nic.device} ${path}`);
      if (nic.device === 'b' && path === 'dma-buf') throw refusal();
    };
  }
  const ranges = [0, 1, 1].map((region, index) => ({ region, offset: BigInt(index) * 4096n, length: 4096n }));
  const registered = await register(nics, content, ranges, silentLogger);
  assert.deepEqual([...tried].sort(), [
    'a dma-buf',
    'a dma-buf',
    'a peer-memory',
    'a peer-memory',
    'b dma-buf',
    'b peer-memory',
    'b peer-memory',
  ]);
  assert.equal(registered.climbed?.path, 'peer-memory');
  assert.match(registered.climbed.reason, /cannot register weights/);
  for (const [index, nic] of nics.entries()) {
    assert.equal(nic.registered.size, ranges.length, 'what the refused way had registered is gone');
    const keys = [...nic.registered].map(({ region, offset, key }) => [region.device === undefined ? 0 : 1, offset, key] as const);
    for (const [row, { region, offset }] of ranges.entries()) {
      assert.deepEqual(keys.find(([which, at]) => which === region && at === offset)?.[2], registered.remoteKeys[index]?.[row]);
    }
  }
  await registered.close();
  assert.deepEqual(
    nics.map((nic) => nic.registered.size),
    [0, 0],
  );
  await assert.rejects(register(nics, content, ranges, silentLogger, 'dma-buf'), /cannot register weights/);
  assert.deepEqual(
    nics.map((nic) => nic.registered.size),
    [0, 0],
    'nothing stays registered',
  );
  host.close();
});
