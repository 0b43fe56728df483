// A pull over TCP beside UCX's get over TCP and iperf3's zero copy, over the loopback of this computer.
import { finished, listening, start, versionOf } from './processes.mjs';
import { openOffer } from './offer.mjs';
import { reportRates } from './rates.mjs';
import { loadBefore, saveRecord } from './record.mjs';
import { alternating } from './turns.mjs';

export const title = 'a pull of 4 GiB over TCP beside UCX (ucp_get over tcp) and iperf3 -Z, one host';

const RUNS = 5;
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
  try {
    const weightcast = async () => {
      const result = await offer.pull(['--no-verify']);
      return { bytes: BYTES, seconds: BYTES / (result.wireGBps * 1e9), result };
    };
    const runs = await alternating('4 GiB', RUNS, { weightcast: { read: weightcast }, ucx: { read: ucxGet }, iperf3: { read: iperf } });
    // Apart from the clock: what those reads bring is what the seed has.
    const { verified } = await offer.pull([]);
    if (verified?.tensors !== TENSORS[0]) throw new Error(`verified ${JSON.stringify(verified)} of ${TENSORS[0]} tensors`);
    const report = reportRates('4 GiB over TCP', runs, LEAST_RATIOS);
    saveRecord('tcp', {
      title,
      unit: 'GB/s, 1 GB = 1e9 bytes; ours is bytes over the wire phase, UCX and iperf3 say theirs themselves',
      ...report,
      loadAverageBefore,
      runs,
      commands: { weightcast: offer.command(['--no-verify']), ucx: ucxClient, iperf3: iperfClient },
      versions: {
        ucx: versionOf('dpkg-query', '-W', '-f', '${Version}', 'ucx-utils'),
        iperf3: versionOf('iperf3', '--version'),
        kernel: versionOf('uname', '-r'),
      },
      caveats: [
        'ours reads 4 GiB of distinct bytes once into memory that was never touched; ucx_perftest reads one buffer of 64 MiB again and again into one that was',
        'iperf3 sends the same 1 MiB again and again from the page cache without a copy, and discards what it receives out of a buffer of 1 MiB',
      ],
    });
    return report.holds;
  } finally {
    await offer.stop();
  }
}

async function ucxGet() {
  const server = start(ucx());
  try {
    await listening(UCX_PORT, START_MS);
    const output = await finished(ucxClient);
    // Iterations, three latencies, MB/s of the last stage and of all (2^20 bytes), two message rates.
    const rate = Number(/^\s*\d+\s+(?:[\d.]+\s+){4}([\d.]+)\s+\d+\s+\d+\s*$/m.exec(output)?.[1]);
    if (!(rate > 0)) throw new Error(`ucx_perftest printed no result:\n${output}`);
    const bytes = UCX_MESSAGE_BYTES * UCX_MESSAGES;
    return { bytes, seconds: bytes / (rate * 2 ** 20), output };
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
