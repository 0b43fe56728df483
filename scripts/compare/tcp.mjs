// A pull over TCP beside UCX's get over TCP and iperf3's zero copy, over the loopback of this computer.
import { pull } from '../../dist/index.js';
import { usedMemory } from './memory.mjs';
import { finished, listening, start, versionOf } from './processes.mjs';
import { openOffer } from './offer.mjs';
import { reportRates } from './rates.mjs';
import { loadBefore, saveRecord } from './record.mjs';
import { alternating } from './turns.mjs';
import { ucxBytesPerSecond } from './ucx-output.mjs';

export const title = 'a pull of 4 GiB over TCP beside UCX (ucp_get over tcp) and iperf3 -Z, one host';

const RUNS = 5;
/** @type {[count: number, bytes: number]} */
const TENSORS = [64, 64 * 2 ** 20];
const BYTES = TENSORS[0] * TENSORS[1];
const LEAST_RATIOS = { ucx: 1, iperf3: 0.9 };

const UCX_PORT = 13337;
const UCX_MESSAGE_BYTES = 64 * 2 ** 20;
const UCX_MESSAGES = 20;
const IPERF_PORT = 5301;
const START_MS = 10_000;

const ucx = (...args) => ['env', 'UCX_TLS=tcp', 'UCX_WARN_UNUSED_ENV_VARS=n', 'ucx_perftest', '-p', `${UCX_PORT}`, ...args];
const ucxClient = ucx('127.0.0.1', '-t', 'ucp_get', '-s', `${UCX_MESSAGE_BYTES}`, '-n', `${UCX_MESSAGES}`, '-w', '2', '-f');
const iperfClient = ['iperf3', '-c', '127.0.0.1', '-p', `${IPERF_PORT}`, '-Z', '-l', '1M', '-P', '1', '-n', `${BYTES}`, '--json'];

/** @returns {Promise<boolean>} whether both bars hold */
export async function measure() {
  const loadAverageBefore = loadBefore();
  const offer = await openOffer({ name: 'compare-tcp', tensors: TENSORS, wire: { transport: 'tcp', host: '127.0.0.1' } });
  const memory = await usedMemory(TENSORS);
  try {
    const weightcast = () => {
      memory.wipe();
      return read(offer.from, { kind: 'tensors', tensors: memory.tensors });
    };
    const fresh = () => read(offer.from, { kind: 'discard' });
    const readers = { weightcast, ucx: ucxGet, iperf3: iperf, fresh };
    const runs = await alternating('4 GiB', RUNS, Object.fromEntries(Object.entries(readers).map(([who, read]) => [who, { read }])));
    const report = reportRates('4 GiB over TCP', runs, LEAST_RATIOS);
    saveRecord('tcp', {
      title,
      unit: 'GB/s, 1 GB = 1e9 bytes; ours is bytes over the wire phase, UCX and iperf3 say theirs themselves',
      ...report,
      loadAverageBefore,
      runs,
      commands: { ucx: ucxClient, iperf3: iperfClient },
      versions: {
        ucx: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ucx-utils'),
        iperf3: versionOf('iperf3', '--version'),
        kernel: versionOf('uname', '-r'),
      },
      caveats: [
        'ours reads 4 GiB of distinct bytes into as many of a program that has used them before; ucx_perftest reads one buffer of 64 MiB again and again',
        '"fresh" is ours into memory that the pull gets from the kernel: the kernel clears every page of it while the bytes come',
        'iperf3 sends the same 1 MiB again and again from the page cache without a copy, and discards what it receives out of a buffer of 1 MiB',
      ],
    });
    return report.holds;
  } finally {
    memory.region.close();
    await offer.stop();
  }
}

/** The wire phase of a pull, with the hashing that runs beside it; every tensor's checksum is compared. */
async function read(from, into) {
  const { transport, verified, phases } = await pull({ ...from, host: '127.0.0.1', transport: 'tcp', into });
  if (transport !== 'tcp' || verified?.tensors !== TENSORS[0])
    throw new Error(`${transport}, verified ${JSON.stringify(verified)} of ${TENSORS[0]} tensors`);
  return { bytes: BYTES, seconds: phases.wire / 1000 };
}

async function ucxGet() {
  const server = start(ucx());
  try {
    await listening(UCX_PORT, START_MS);
    const output = await finished(ucxClient);
    const bytes = UCX_MESSAGE_BYTES * UCX_MESSAGES;
    return { bytes, seconds: bytes / ucxBytesPerSecond(output), output };
  } finally {
    server.kill();
  }
}

async function iperf() {
  const server = start(['iperf3', '-s', '-1', '-p', `${IPERF_PORT}`]);
  try {
    await listening(IPERF_PORT, START_MS);
    const { bytes, seconds } = JSON.parse(await finished(iperfClient)).end.sum_received;
    return { bytes, seconds };
  } finally {
    server.kill();
  }
}
