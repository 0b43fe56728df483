/** The health of a real data plane over TCP. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#src/observe/logger.js';
import { SeedDataPlane } from '#src/seed/data-plane.js';
import { dataPlaneHealth } from '#src/seed/health.js';
import { contentOfTensors } from '#src/seed/own-buffers.js';
import { rangesOf } from '#src/seed/ranges.js';
import { byteTensors } from '../../support/cluster.js';

for (const host of ['127.0.0.1', '192.0.2.1']) {
  test(`a data plane that peers reach at ${host} is healthy until its listeners are gone`, async (t) => {
    const content = await contentOfTensors(byteTensors([4096]));
    t.after(() => content.close());
    const options = {
      host,
      nics: [],
      content,
      ranges: rangesOf(content.tensors),
      registered: undefined,
      tcp: true,
      local: false,
      logger: silentLogger,
    };
    const plane = await SeedDataPlane.open(options);
    t.after(() => plane.close());
    const reasons: string[] = [];
    const logger = { ...silentLogger, warn: (_message: string, fields?: object) => void reasons.push(JSON.stringify(fields)) };
    const healthy = dataPlaneHealth({ ports: [], listeners: plane.listeners, logger });
    for (let beat = 0; beat < 3; beat++) assert.equal(await healthy(), true);
    await plane.close();
    assert.equal(await healthy(), false);
    assert.match(reasons.join('\n'), /the handshake listener does not accept.*the TCP server does not accept/);
  });
}
