// The two that are measured between two machines: ib_read_bw and Weightcast. Host 1 has the bytes, host 0 reads them.
import path from 'node:path';
import { Reader } from '../../../dist/bench/read/reader.js';
import { averageOf } from '../perftest-output.mjs';
import { finished, listening, service, start, versionOf } from '../processes.mjs';
import { order } from './orders.mjs';

const READER = '10.77.0.1';
const SEED = '10.77.0.2';
const GID_INDEX = 1;
const PERFTEST_PORT = 18515;
const BENCH_PORT = 18600;
/** Node takes seconds to start on an emulated processor. */
const START_MS = 60_000;

/** The command of one run: `messages` reads of `bytes`, `outstanding` at a time, over one queue pair of rxe0. */
function ibReadBw({ bytes, messages, outstanding }) {
  return ['ib_read_bw', '-d', 'rxe0', '-x', `${GID_INDEX}`, '-F', '-q', '1', '-s', `${bytes}`, '-n', `${messages}`, '-o', `${outstanding}`];
}

/** What host 1 does on host 0's order. */
export function seedSide(bufferBytes) {
  let offer;
  const serve = ['bench', 'read', '--serve', '--listen', `${SEED}:${BENCH_PORT}`, '--host', SEED, '--buffer', `${bufferBytes}`];
  return {
    async offer() {
      const wire = ['--transport', 'rdma', '--gid-index', `${GID_INDEX}`];
      offer = await service([process.execPath, path.resolve('dist/cli/main.js'), ...serve, ...wire, '--json']);
      return offer.ready.address;
    },
    async ibReadBw(run) {
      start(ibReadBw(run)); // ends with its client
      await listening(PERFTEST_PORT, START_MS);
    },
    async tc(...args) {
      await finished(['tc', 'qdisc', ...args]);
    },
    async stop() {
      await offer.stop();
    },
  };
}

/** One run of the peer. @param {{ bytes: number, messages: number, outstanding: number }} run */
export async function peerRun(run) {
  await order('ibReadBw', run);
  const command = [...ibReadBw(run), SEED];
  const output = await finished(command);
  return { bytes: run.bytes * run.messages, GBps: averageOf(output, run.bytes), command: command.join(' '), output };
}

/** Weightcast's own side, in this process: pulls of a part of the seed's buffer into an equal buffer. */
export class OwnSide {
  #address;
  #readers = new Map();

  static async open() {
    const own = new OwnSide();
    own.#address = await order('offer');
    return own;
  }

  /**
   * Reads the first `bytes` of the seed's buffer over the devices, and compares them all after the clock has stopped.
   * @param {{ bytes: number, sliceBytes: number, outstanding?: number, devices?: string[] }} run
   */
  async run({ bytes, sliceBytes, outstanding, devices = ['rxe0'] }) {
    const reader = await this.#reader(devices);
    reader.wipe();
    const { result, wireMs } = await reader.read({ start: 0, bytes }, sliceBytes, { outstanding, queuePairs: undefined });
    const verifiedBytes = await reader.check({ start: 0, bytes });
    const lanes = result.lanes.map((lane) => ({ ...lane, bytes: Number(lane.bytes) }));
    return { bytes, verifiedBytes, GBps: result.wireGBps, wireMs, lanes };
  }

  async close() {
    for (const reader of this.#readers.values()) reader[Symbol.dispose]();
    await order('stop');
  }

  async #reader(devices) {
    const key = devices.join();
    if (!this.#readers.has(key)) {
      /** @type {import('../../../dist/bench/source/offer.js').Wire} */
      const wire = { transport: 'rdma', devices, gidIndex: GID_INDEX, host: READER };
      this.#readers.set(key, await Reader.open(this.#address, wire, new AbortController().signal));
    }
    return this.#readers.get(key);
  }
}

export function versions() {
  return {
    perftest: versionOf('dpkg-query', '-W', '-f', '${Version}', 'perftest'),
    rdmaCore: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ibverbs-providers'),
    kernel: versionOf('uname', '-r'),
    node: process.version,
  };
}
