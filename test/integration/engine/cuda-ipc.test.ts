/** The example of an engine (with doubles of torch and of NVIDIA's driver) against the command line, all of them processes of their own. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { EngineMemory } from '#src/engine/index.js';
import { temporaryFolder } from '../../support/cluster.js';
import { ExampleEngine, type EngineKind } from '../../support/engine/example.js';
import { errorOf, pull, Role, serve, summaryOf } from '../../support/roles.js';
import { useStandins } from '../../support/standin.js';

useStandins();
const folder = await temporaryFolder();
const { address } = await serve();
const tcp = ['--server', address, '--transport', 'tcp', '--host', '127.0.0.1'];

/** What the stand-in says of a process that has ended: nothing of it was left alive, and nothing was misused. */
async function assertClean(report: string): Promise<void> {
  const { alive, faults } = JSON.parse(await readFile(report, 'utf8')) as { alive: Record<string, number>; faults: string[] };
  assert.deepEqual(faults, []);
  for (const [what, count] of Object.entries(alive)) assert.equal(count, 0, `${what} left alive`);
}

async function seedOf(socket: string, name: string, report = ''): Promise<Role> {
  const role = new Role(['seed', '--cuda-ipc', socket, '--model-name', name, ...tcp], { env: { WEIGHTCAST_STANDIN_REPORT: report } });
  const ready = await role.next();
  assert.equal(ready['event'], 'ready', JSON.stringify(ready));
  return role;
}

describe('an engine in another process', () => {
  for (const kind of ['legacy', 'vmm'] satisfies EngineKind[]) {
    it(`${kind} memory is served from one process and filled in another, byte for byte`, async () => {
      const path = (what: string): string => join(folder, `${kind}-${what}`);
      const offering = await ExampleEngine.start('offer', path('offer'), kind);
      const seed = await seedOf(path('offer'), kind, path('seed.json'));
      await offering.printed('{"state": "serving"}');
      const filling = await ExampleEngine.start('fill', path('fill'), kind);
      const ended = await pull(['--into-cuda-ipc', path('fill'), '--model-name', kind, ...tcp], {
        env: { WEIGHTCAST_STANDIN_REPORT: path('pull.json') },
      });
      const summary = summaryOf(ended);
      assert.equal(summary.tensors, 8);
      assert.equal(summary.verified?.tensors, 8);
      const filled = await filling.ended;
      assert.deepEqual([filled.code, filled.lines], [0, ['listening', '{"state": "done"}', 'right']], filled.stderr);
      assert.equal((await seed.stop()).code, 143);
      const offered = await offering.ended;
      assert.deepEqual([offered.code, offered.lines.at(-2)], [0, '{"state": "done"}'], offered.stderr);
      await assertClean(path('seed.json'));
      await assertClean(path('pull.json'));
    });
  }

  it('whose process dies takes its seed with it, which says so and is found no more', async () => {
    const engine = await ExampleEngine.start('offer', join(folder, 'dies'), 'legacy');
    const seed = await seedOf(join(folder, 'dies'), 'dies');
    engine.process.kill('SIGKILL');
    const ended = await seed.ended;
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(String(ended.printed.at(-1)?.['reason']), /engine at .*(has ended the connection|connection broke)/);
    const listed = await new Role(['sources', '--server', address, '--model-name', 'dies']).ended;
    assert.doesNotMatch(JSON.stringify(listed.printed), /READY/);
  });

  it('that a pull finds no source for is told so, and keeps its memory', async () => {
    const engine = await ExampleEngine.start('fill', join(folder, 'no-source'), 'vmm');
    const ended = await pull(['--into-cuda-ipc', join(folder, 'no-source'), '--model-name', 'nobody', ...tcp]);
    assert.equal(errorOf(ended, 3).code, 'ERR_NO_SOURCE');
    const { code, lines } = await engine.ended;
    assert.equal(code, 1);
    assert.match(lines.at(-1) ?? '', /"state": "failed".*nobody/);
  });

  it('that is not there is not found', async () => {
    const error = errorOf(await pull(['--into-cuda-ipc', join(folder, 'nowhere'), '--model-name', 'x', ...tcp]), 3);
    assert.equal(error.code, 'ERR_NOT_FOUND');
    assert.match(error.message, /no engine listens at .*nowhere/);
  });

  it('that is this very process is refused', async () => {
    const socket = await listen('own', () => undefined);
    await assert.rejects(EngineMemory.open(socket, { writable: false }), { code: 'ERR_INVALID_ARGUMENT', message: /this very process/ });
  });

  const legacy = { kind: 'legacy', device: 'cuda:0', bytes: 4, handle: '00'.repeat(64) };
  const message = (allocation: object): string =>
    `${JSON.stringify({
      protocol: 'weightcast-engine-1',
      allocations: [allocation],
      tensors: [{ name: 'w', dtype: 'F32', shape: [1], bytes: 4, allocation: 0, offset: 0 }],
    })}\n`;
  const wrong: readonly (readonly [string, string, number, string, RegExp])[] = [
    ['no JSON', 'hello\n', 8, 'ERR_PROTOCOL', /expected one line of JSON/],
    ['a handle that is none', message(legacy), 8, 'ERR_ACCELERATOR', /allocations\[0\].*cuIpcOpenMemHandle/],
    ['a GPU that is not here', message({ ...legacy, device: '0000:ff:00.0' }), 6, 'ERR_DEVICE_NOT_FOUND', /0000:ff:00\.0.*it sees cuda:0/],
    ['a second message', message(legacy).repeat(2), 8, 'ERR_PROTOCOL', /more than one message/],
  ];
  for (const [what, sent, exitCode, code, text] of wrong) {
    it(`that sends ${what} is told what is wrong`, async () => {
      let told = '';
      const heard = new Promise<void>((resolve) => {
        void listen(what.replaceAll(' ', '-'), (client) => {
          client.write(sent);
          client.setEncoding('utf8').on('data', (data: string) => {
            told += data;
          });
          client.on('end', resolve);
        });
      });
      const socket = join(folder, what.replaceAll(' ', '-'));
      const error = errorOf(await pull(['--into-cuda-ipc', socket, '--model-name', 'x', ...tcp]), exitCode);
      assert.equal(error.code, code);
      assert.match(error.message, text);
      await heard;
      assert.deepEqual(JSON.parse(told), { state: 'failed', error: error.message });
    });
  }
});

async function listen(name: string, onClient: (client: Socket) => void): Promise<string> {
  const path = join(folder, name);
  const server = createServer(onClient);
  after(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}
