/** The storm's publishers or readers, in a thread of their own. Work until they are told to stop, then report. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { SourceStatus } from '#src/gen/model_express/p2p.js';
import { worker } from '../../../support/p2p-messages.js';
import { FailoverClient } from './failover-client.js';
import { identityOf, type LoadOptions, type LoadReport, publisherCount, readerCount, tensorsOf, workerIdOf, workersEach } from './plan.js';

const { role, servers } = workerData as LoadOptions;

const acknowledged = new Map<string, readonly [sourceId: string, version: number]>();
const wrong: string[] = [];
let publications = 0;
let heartbeats = 0;
let stopped = false;

/** Pauses between two calls of one client, so that two processors are enough for all of them. Milliseconds. */
const publisherPauseMs = 50;
const readerPauseMs = 500;
const afterFailureMs = 250;

const READY = SourceStatus.SOURCE_STATUS_READY;

async function publisher(index: number, client: FailoverClient): Promise<void> {
  const identity = identityOf(index);
  for (let version = 1; !stopped; version++) {
    const workerId = workerIdOf(index, version % workersEach);
    const tensors = tensorsOf(version);
    const published = worker({ agentName: String(version), tensors, sourcePayload: { $case: 'tensorSource', value: { tensors } } });
    const sourceId = await untilAnswered(client, (server) => server.publish({ identity, worker: published, workerId }));
    if (sourceId === undefined) return;
    acknowledged.set(workerId, [sourceId, version]);
    publications++;
    await sleep(publisherPauseMs);
    const update = { mxSourceId: sourceId, workerId, workerRank: 0, status: READY };
    const reply = await untilAnswered(client, (server) => server.updateStatus(update));
    if (reply === undefined) return;
    if (!reply.success) wrong.push(`heartbeat of ${workerId} refused: ${reply.message}`);
    heartbeats++;
    await sleep(publisherPauseMs);
  }
}

/** Tries until a server has answered; `undefined` when the storm is over before one has. */
async function untilAnswered<T>(client: FailoverClient, call: Parameters<typeof client.attempt<T>>[0]): Promise<T | undefined> {
  for (;;) {
    const answer = await client.attempt(call);
    if (answer !== undefined) return answer.value;
    if (stopped) return undefined;
    await sleep(afterFailureMs * (0.5 + Math.random()));
  }
}

/** Lists a source and gets one of its workers. What was once seen must always be found, and never grow older. */
async function reader(index: number, client: FailoverClient): Promise<void> {
  const source = index % publisherCount;
  const filter = { identity: identityOf(source), statusFilter: READY };
  const seen = new Map<string, number>();
  let isThere = false;
  for (let turn = index; !stopped; turn++) {
    await sleep(readerPauseMs * (0.5 + Math.random()));
    const listed = await client.attempt((server) => server.listSources(filter));
    if (listed === undefined) continue;
    // Only one worker at a time is between its publication and its heartbeat.
    if (isThere && listed.value.length === 0) wrong.push(`reader ${String(index)}: the list became empty`);
    isThere ||= listed.value.length > 1;
    const reference = listed.value[turn % Math.max(1, listed.value.length)];
    if (reference === undefined) continue;
    const { mxSourceId, workerId } = reference;
    const got = await client.attempt((server) => server.getMetadata(mxSourceId, workerId));
    if (got === undefined) continue;
    const version = Number(got.value?.worker.agentName);
    const before = seen.get(workerId) ?? 0;
    if (!(version >= before)) wrong.push(`reader ${String(index)}: ${workerId} is at ${String(version)} after ${String(before)}`);
    else if (got.value?.worker.tensors.length !== tensorsOf(version).length) wrong.push(`reader ${String(index)}: ${workerId} is torn`);
    seen.set(workerId, version);
  }
}

const count = role === 'publishers' ? publisherCount : readerCount;
const clients = Array.from({ length: count }, (_, index) => new FailoverClient(servers, index));
const run = role === 'publishers' ? publisher : reader;
const running = clients.map((client, index) =>
  run(index, client).catch((error: unknown) => {
    wrong.push(`${role} ${String(index)}: ${String(error)}`);
  }),
);

parentPort?.once('message', () => {
  stopped = true;
  void Promise.all(running).then(() => {
    const errors: Record<string, number> = {};
    for (const client of clients) {
      for (const [code, times] of Object.entries(client.errors)) errors[code] = (errors[code] ?? 0) + times;
      client.close();
    }
    const report: LoadReport = {
      calls: clients.reduce((sum, client) => sum + client.succeeded, 0),
      errors,
      longestOutageMs: Math.max(...clients.map((client) => client.longestOutageMs)),
      wrong,
      acknowledged: [...acknowledged].map(([workerId, [sourceId, version]]) => [workerId, sourceId, version]),
      publications,
      heartbeats,
    };
    parentPort?.postMessage(report);
  });
});
