// Whom `pull` is compared with over one rail. Each is started twice alike, the second time with the first one's address.
import { averageOf } from '../perftest-output.mjs';
import { ucxBytesPerSecond } from '../ucx-output.mjs';

export const DEVICE = 'rxe0';
export const GID_INDEX = '1';
/** Reads under way; the default of `pull`. */
const OUTSTANDING = '16';
/** Of both peers, a run. */
export const BYTES = 256 * 2 ** 20;

const ibReadBw = ['ib_read_bw', '-d', DEVICE, '-x', GID_INDEX, '-F', '-o', OUTSTANDING, '-q', '1'];

/** Left alone, it takes the first GID that it likes, which here is that of no address. */
const environment = ['env', `UCX_IB_GID_INDEX=${GID_INDEX}`];
const ucx = [...environment, 'ucx_perftest', '-d', `${DEVICE}:1`, '-x', 'rc_verbs', '-t', 'get', '-D', 'zcopy', '-O', OUTSTANDING];

/**
 * `command`: for reads of `size` bytes; `bytesPerSecond` of what the second one printed; `port` that the first one listens on.
 * @type {Record<string, { package: string, port: number, command: (size: number) => string[],
 * bytesPerSecond: (output: string, size: number) => number }>}
 */
export const peers = {
  ib_read_bw: {
    package: 'perftest',
    port: 18515,
    command: (size) => [...ibReadBw, '-s', `${size}`, '-n', `${BYTES / size}`],
    bytesPerSecond: (output, size) => averageOf(output, size) * 1e9,
  },
  ucx: {
    package: 'ucx-utils',
    port: 13337,
    command: (size) => [...ucx, '-s', `${size}`, '-n', `${BYTES / size}`, '-w', '16', '-f'],
    bytesPerSecond: ucxBytesPerSecond,
  },
};
