/** A seed whose server forgets it and takes it no more. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { P2pServiceService } from '#src/gen/model_express/p2p.js';
import { generateModel } from '#src/model/generate.js';
import { smallTensors } from '#src/model/shapes/index.js';
import { temporaryFolder } from '../../support/cluster.js';
import { errorOf, seed } from '../../support/roles.js';

type Answer = (error: null, reply: object) => void;

test('the command ends with an error when its time to publish again is over', async (t) => {
  const server = new Server();
  let publications = 0;
  let heartbeats = 0;
  server.addService(P2pServiceService, {
    listSources: (_call: unknown, answer: Answer) => answer(null, { instances: [] }),
    publishMetadata: (_call: unknown, answer: Answer) => {
      const success = publications++ === 0;
      answer(null, { success, message: 'full', mxSourceId: success ? 's1' : '', workerId: 'w' });
    },
    updateStatus: (_call: unknown, answer: Answer) => answer(null, { success: heartbeats++ === 0, message: 'who are you?' }),
  });
  const port = await new Promise<number>((done) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, bound) => done(bound));
  });
  t.after(() => server.forceShutdown());
  const model = join(await temporaryFolder(), 'model');
  await generateModel(model, smallTensors({ count: 2, bytes: 64 }));
  const args = ['--server', `127.0.0.1:${String(port)}`, '--transport', 'tcp', '--host', '127.0.0.1'];
  const { role } = await seed(model, [...args, '--heartbeat-interval', '0.1', '--publish-timeout', '1']);
  const { code, message } = errorOf(await role.ended, 4);
  assert.equal(code, 'ERR_PUBLISH_REFUSED');
  assert.match(message, /cannot publish worker \w+ again at .* for 1000 ms, given up: .*full/);
  assert.ok(publications > 2, `${String(publications)} publications`);
});
