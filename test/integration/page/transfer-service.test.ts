/** Reports over gRPC. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { WeightcastError } from '#src/errors.js';
import { TransferLog } from '#src/metadata/transfers/transfer-log.js';
import { TransferReporter, type TransferSink } from '#src/metadata/transfers/reporter.js';
import { silentLogger } from '#src/observe/logger.js';
import { GrpcEndpoint } from '#src/rpc/endpoint.js';
import { DONE, id, report } from '../../support/transfer-reports.js';
import { connect, startServer, until } from '../metadata/support.js';

test('a report arrives as it was sent', async (t) => {
  const transfers = new TransferLog();
  const client = connect(t, (await startServer(t, { transfers })).address);
  const sent = report({ modelName: 'Qwen/Qwen2.5-7B', workerRank: 3, bytes: (1n << 63n) + 1n, target: 'node7', wireMs: 12n });
  await client.reportTransfer(sent);
  const [arrived] = transfers.list();
  assert.ok(arrived);
  const { startedAt, updatedAt, lost, ...rest } = arrived;
  assert.deepEqual(rest, sent);
  assert.equal(lost, false);
  assert.ok(startedAt === updatedAt && Math.abs(Date.now() - startedAt) < 60_000);
});

test('what is no report is refused by name, and nothing of it is kept', async (t) => {
  const transfers = new TransferLog();
  const client = connect(t, (await startServer(t, { transfers })).address);
  await assert.rejects(client.reportTransfer(report({ transferId: 'short' })), (error: unknown) => {
    assert.ok(error instanceof WeightcastError);
    assert.equal(error.grpcStatus, status.INVALID_ARGUMENT);
    assert.match(error.message, /ReportTransfer: expected 16 lower-case hex digits for transfer_id but received "short"/);
    return true;
  });
  await assert.rejects(client.reportTransfer(report({ error: 'x'.repeat(5000) })), /error is 5000 characters long, at most 2000 are taken/);
  assert.deepEqual(transfers.list(), []);
});

test('a reporter tells of a pull from its start to its end', async (t) => {
  const transfers = new TransferLog();
  const client = connect(t, (await startServer(t, { transfers })).address);
  const reporter = new TransferReporter({ client, modelName: 'm', rank: 1, logger: silentLogger });
  reporter.progress('discover', undefined, 0n, 0n);
  reporter.source('0123456789abcdef', 'cafe01');
  reporter.progress('wire', 'tcp', 10n, 10n);
  await reporter.end();
  const [transfer, ...others] = transfers.list();
  assert.equal(others.length, 0);
  assert.equal(transfer?.state, DONE);
  assert.equal(transfer.workerId, 'cafe01');
  assert.equal(transfer.bytes, 10n);
  assert.notEqual(transfer.transferId, id(1));
});

test('a server without the service answers UNIMPLEMENTED, and the reporter falls silent', async (t) => {
  const endpoint = await GrpcEndpoint.open({ address: { host: '127.0.0.1', port: 0 }, services: [], logger: silentLogger });
  t.after(() => endpoint.close(0));
  const client = connect(t, `127.0.0.1:${String(endpoint.port)}`);
  await assert.rejects(
    client.reportTransfer(report()),
    (error: unknown) => error instanceof WeightcastError && error.grpcStatus === status.UNIMPLEMENTED,
  );
  const logged: string[] = [];
  const log = (message: string): number => logged.push(message);
  let asked = 0;
  let answered = 0;
  const counted: TransferSink = {
    reportTransfer: (sent, signal) => {
      asked++;
      return client.reportTransfer(sent, signal).finally(() => answered++);
    },
  };
  const logger = { debug: log, info: log, warn: log, error: log };
  const reporter = new TransferReporter({ client: counted, modelName: 'm', rank: 0, logger });
  reporter.progress('discover', undefined, 0n, 0n);
  await until(() => answered === 1);
  reporter.progress('wire', 'tcp', 1n, 2n);
  await reporter.end();
  assert.equal(asked, 1);
  assert.deepEqual(logged, []);
});
