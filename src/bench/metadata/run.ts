/** `bench metadata`: everything in one run, in rounds, so that a machine that changes its mind shows in the spread. */
import { randomBytes } from 'node:crypto';
import { WeightcastError } from '../../errors.js';
import { Generators } from '../load/generators.js';
import type { WorkerSet } from '../load/job.js';
import { publishRequests } from '../load/requests.js';
import type { MachineFacts } from '../machine.js';
import { Run } from '../run-facts.js';
import { foreignSubject, type Subject } from '../server/subject.js';
import { metricsUsage } from '../server/usage.js';
import { Bench } from './bench.js';
import { type Measured, rowOf } from './measured.js';
import { notesOf } from './notes.js';
import type { MetadataBenchOptions } from './options.js';
import { modelName, type Plan, planOf, type Step } from './plan.js';
import { type CallsRow, type MetadataReport, type ResidentRow, schemaVersion } from './report.js';
import { measureResident, residentRow } from './resident.js';

/** More processes than this are not needed to keep one server busy. */
const mostGenerators = 8;

/**
 * Measures a metadata server. What was published at a server that stays, or in a store that stays, is STALE afterwards,
 * also after an error or an abort.
 *
 * Rejects with what the server answers when it fails; ERR_SERVER_UNREACHABLE; ERR_ABORTED when the signal fires.
 */
export async function benchMetadata(options: MetadataBenchOptions): Promise<MetadataReport> {
  const clock = new Run();
  const { machine } = clock;
  // One core is the server's.
  await using generators = new Generators(Math.min(Math.max(machine.cores - 1, 1), mostGenerators));
  const run = randomBytes(3).toString('hex');
  const plan = planOf(options, run);
  const { server, calls } = await withServer(options, generators, async (bench) => ({
    server: { ...factsOf(bench.subject) },
    calls: await measureCalls(bench, plan, options, machine),
  }));
  const resident = server.usageFrom !== null && options.only.includes('resident') ? await measureMemory(options, generators, run) : null;
  const publishRequest = (await publishRequests(calling(options, run), Date.now()))(0);
  return {
    schemaVersion,
    benchmark: 'metadata',
    ...clock.facts(),
    server,
    settings: {
      repetitions: options.repetitions,
      secondsPerMeasurement: options.durationMs / 1000,
      generators: generators.count,
      publishTensors: options.publishTensors,
      publishRequestBytes: publishRequest.length,
      listWorkers: options.workers,
      getTensors: options.tensors,
    },
    calls,
    resident,
    notes: notesOf(options, server),
  };
}

function calling(options: MetadataBenchOptions, run: string): WorkerSet {
  return { modelName: modelName('calling', run), prefix: 'calling', count: 1, tensors: options.publishTensors };
}

async function openSubject({ server, signal, tell }: MetadataBenchOptions): Promise<Subject> {
  if ('address' in server) {
    const usage = server.metricsUrl === undefined ? undefined : metricsUsage(server.metricsUrl);
    // Metrics that cannot be read shall be known before minutes have passed.
    await usage?.read();
    return foreignSubject(server.address, server.security, usage);
  }
  const subject = await server.start(signal);
  tell(`metadata server with a ${subject.store} store on ${subject.address}`);
  return subject;
}

function factsOf({ address, own, store, usage }: Subject): MetadataReport['server'] {
  return { address, own, store, usageFrom: usage?.name ?? null };
}

/** What was published is marked STALE in the end, where it outlives the server. */
async function withServer<T>(options: MetadataBenchOptions, generators: Generators, body: (bench: Bench) => Promise<T>): Promise<T> {
  await using subject = await openSubject(options);
  const bench = new Bench(subject, generators, options.signal);
  let failed = true;
  try {
    const result = await body(bench);
    failed = false;
    return result;
  } finally {
    if (subject.store !== 'memory') {
      await bench.retire().catch((error: unknown) => {
        const text = `what was published as weightcast-bench/… could not be marked STALE: ${String(error)}`;
        // The failure before it says more.
        if (failed) options.tell(text);
        else throw new WeightcastError('ERR_SERVER', `bench: ${text}`, { cause: error });
      });
    }
  }
}

async function measureCalls(bench: Bench, plan: Plan, options: MetadataBenchOptions, machine: MachineFacts): Promise<CallsRow[]> {
  const { repetitions, durationMs, tell } = options;
  for (const workers of plan.published) {
    tell(`publishing ${String(workers.count)} workers of ${String(workers.tensors)} tensors`);
    await bench.publish(workers);
  }
  const rounds: Measured[][] = plan.steps.map(() => []);
  for (let round = 1; round <= repetitions; round++) {
    for (const [index, step] of plan.steps.entries()) {
      tell(`round ${String(round)} of ${String(repetitions)}: ${stepText(step)}`);
      if (step.refresh !== undefined) await bench.heartbeat(step.refresh);
      rounds[index]?.push(await bench.measure(step, durationMs));
    }
  }
  // A server elsewhere does not share this machine.
  const cores = bench.subject.own ? machine.cores : Number.POSITIVE_INFINITY;
  return plan.steps.map((step, index) => rowOf(step, cores, rounds[index] ?? []));
}

function stepText({ name, connections, heartbeatsPerSecond }: Step): string {
  const others = heartbeatsPerSecond === undefined ? '' : `, with ${heartbeatsPerSecond.toFixed(0)} heartbeats/s`;
  return `${name}, ${String(connections)} connections${others}`;
}

/** Each repetition has a server of its own, if it is ours: what was freed before would be taken again first. */
async function measureMemory(options: MetadataBenchOptions, generators: Generators, run: string): Promise<ResidentRow> {
  const growth: ResidentRow['repetitions'][number][] = [];
  const { residentWorkers: count, residentTensors: tensors, repetitions, tell } = options;
  let workers: WorkerSet = { modelName: '', prefix: 'resident', count, tensors };
  for (let round = 1; round <= repetitions; round++) {
    workers = { ...workers, modelName: modelName('resident', `${run}-${String(round)}`) };
    tell(`round ${String(round)} of ${String(repetitions)}: memory of ${String(count)} workers of ${String(tensors)} tensors`);
    const measured = await withServer({ ...options, tell: () => undefined }, generators, async (bench) =>
      bench.subject.usage === undefined ? undefined : measureResident(bench, bench.subject.usage, workers),
    );
    if (measured !== undefined) growth.push(measured);
  }
  const requestBytes = (await publishRequests(workers, Date.now()))(0).length;
  return residentRow(workers, requestBytes, growth);
}
