import assert from 'node:assert/strict';
import { mock, test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { WeightcastError } from '#src/errors.js';
import type { ReportTransferRequest } from '#src/gen/weightcast/transfers.js';
import { TransferReporter } from '#src/metadata/transfers/reporter.js';
import { faultOf } from '#src/metadata/transfers/service.js';
import type { Logger } from '#src/observe/logger.js';
import { DONE, FAILED, RUNNING } from '../../support/transfer-reports.js';

/** A server that keeps what it is told, and answers as the test says. */
class Sink {
  readonly reports: ReportTransferRequest[] = [];
  answer: () => Promise<void> = () => Promise.resolve();
  inFlight = 0;
  mostInFlight = 0;

  async reportTransfer(report: ReportTransferRequest, signal?: AbortSignal): Promise<void> {
    this.reports.push(report);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    const aborted = new Promise<never>((_, failed) => {
      signal?.addEventListener('abort', () => failed(new WeightcastError('ERR_ABORTED', 'aborted')), { once: true });
    });
    try {
      await Promise.race([this.answer(), aborted]);
    } finally {
      this.inFlight--;
    }
  }
}

interface Setting {
  readonly sink: Sink;
  readonly reporter: TransferReporter;
  readonly logged: string[];
  /** Lets mocked time pass, with everything that becomes due. */
  readonly pass: (ms: number) => Promise<void>;
}

function setUp(test: TestContext, modelName = 'Test/Model'): Setting {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  let now = 0;
  const clock = mock.method(performance, 'now', () => now);
  test.after(() => {
    mock.timers.reset();
    clock.mock.restore();
  });
  const logged: string[] = [];
  const loud = (message: string): void => assert.fail(`logged above debug: ${message}`);
  const logger: Logger = { debug: (message) => logged.push(message), info: loud, warn: loud, error: loud };
  const sink = new Sink();
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      now += 100;
      mock.timers.tick(100);
      await turn();
    }
  };
  return { sink, reporter: new TransferReporter({ client: sink, modelName, rank: 3, logger, target: 'here' }), logged, pass };
}

test('the first progress is told at once, later ones once a second, the end at once', async (t) => {
  const { sink, reporter, pass } = setUp(t);
  reporter.progress('discover', undefined, 0n, 0n);
  await turn();
  assert.equal(sink.reports.length, 1);
  reporter.source('0123456789abcdef', 'cafe0001');
  for (let step = 1n; step <= 30n; step++) {
    reporter.progress('wire', 'tcp', step * 10n, 1000n);
    await pass(100);
  }
  assert.equal(sink.reports.length, 4, 'three seconds: three more');
  await reporter.end();
  const last = sink.reports.at(-1);
  assert.equal(sink.reports.length, 5);
  assert.equal(last?.state, DONE);
  assert.equal(last.workerId, 'cafe0001');
  assert.equal(last.mxSourceId, '0123456789abcdef');
  assert.equal(last.modelName, 'Test/Model');
  assert.equal(last.workerRank, 3);
  assert.equal(last.target, 'here');
  assert.equal(last.transport, 'tcp');
  assert.equal(last.bytes, 300n);
  assert.equal(last.totalBytes, 1000n);
  assert.equal(last.elapsedMs, 3000n);
  assert.equal(last.error, '');
  assert.equal(new Set(sink.reports.map(({ transferId }) => transferId)).size, 1);
  for (const report of sink.reports) assert.equal(faultOf(report), undefined);
  await pass(60_000);
  assert.equal(sink.reports.length, 5, 'nothing after the end');
});

test('what arrived stays when later phases begin, and so does the time on the wire', async (t) => {
  const { sink, reporter, pass } = setUp(t);
  reporter.progress('connect', 'rdma', 0n, 0n);
  await pass(700);
  reporter.progress('wire', 'rdma', 0n, 0n);
  await pass(1500);
  reporter.progress('wire', 'rdma', 800n, 800n);
  reporter.progress('verify', 'rdma', 5n, 900n);
  await pass(2000);
  await reporter.end();
  const last = sink.reports.at(-1);
  assert.equal(last?.phase, 'verify');
  assert.equal(last.bytes, 800n);
  assert.equal(last.totalBytes, 800n);
  assert.equal(last.wireMs, 1500n);
  assert.equal(last.elapsedMs, 4200n);
});

test('a failed pull tells its code and sentence, cut to what servers take', async (t) => {
  const { sink, reporter } = setUp(t, 'm'.repeat(10_000));
  reporter.progress('wire', 'tcp', 1n, 2n);
  await reporter.end(new WeightcastError('ERR_PEER_LOST', 'gone '.repeat(1000)));
  const last = sink.reports.at(-1);
  assert.ok(last);
  assert.equal(last.state, FAILED);
  assert.match(last.error, /^ERR_PEER_LOST: gone gone .*…$/);
  assert.equal(faultOf(last), undefined);
});

test('a pull that does not move is told of every 10 s', async (t) => {
  const { sink, reporter, pass } = setUp(t);
  reporter.progress('discover', undefined, 0n, 0n);
  await pass(35_000);
  assert.equal(sink.reports.length, 4);
  assert.ok(sink.reports.every(({ state }) => state === RUNNING));
  await reporter.end();
});

test('never two at a time; one that takes too long is given up', async (t) => {
  const { sink, reporter, pass } = setUp(t);
  sink.answer = () => new Promise(() => undefined);
  reporter.progress('wire', 'tcp', 0n, 10n);
  await pass(4500);
  reporter.progress('wire', 'tcp', 5n, 10n);
  assert.equal(sink.reports.length, 1);
  await pass(12_000);
  assert.equal(sink.reports.length, 2, 'again, ten seconds after the one that was given up');
  assert.equal(sink.mostInFlight, 1);
  const end = reporter.end();
  await pass(1100);
  await end;
});

test('the end waits for a server that says nothing for a second and no longer', async (t) => {
  const { sink, reporter, pass } = setUp(t);
  reporter.progress('wire', 'tcp', 0n, 10n);
  await turn();
  sink.answer = () => new Promise(() => undefined);
  let over = false;
  const end = reporter.end().then(() => (over = true));
  await pass(900);
  assert.equal(over, false);
  await pass(200);
  assert.equal(over, true);
  await end;
});

test('a server without the service is left alone for good', async (t) => {
  const { sink, reporter, logged, pass } = setUp(t);
  sink.answer = () => Promise.reject(new WeightcastError('ERR_SERVER', 'no such method', { grpcStatus: status.UNIMPLEMENTED }));
  reporter.progress('discover', undefined, 0n, 0n);
  await pass(5000);
  reporter.progress('wire', 'tcp', 1n, 2n);
  await pass(30_000);
  await reporter.end();
  assert.equal(sink.reports.length, 1);
  assert.deepEqual(logged, []);
});

test('other failures are logged at debug only, and tried again after ten seconds', async (t) => {
  const { sink, reporter, logged, pass } = setUp(t);
  sink.answer = () => Promise.reject(new WeightcastError('ERR_SERVER_UNREACHABLE', 'nobody there'));
  reporter.progress('wire', 'tcp', 0n, 10n);
  await pass(9000);
  assert.equal(sink.reports.length, 1);
  assert.equal(logged.length, 1);
  sink.answer = () => Promise.resolve();
  await pass(3000);
  assert.equal(sink.reports.length, 2);
  sink.answer = () => {
    throw new Error('even a client that throws');
  };
  await reporter.end(new Error('failed'));
  assert.equal(sink.reports.length, 3);
});
