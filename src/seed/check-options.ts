/** Options of a seed that make no sense, found before anything is opened. */
import { checkDevicePathChoice, nativeDevice } from '../device/check.js';
import { WeightcastError } from '../errors.js';
import type { SeedOptions, SglangOffer } from './options.js';
import { checkZeroCopyChoice } from './tcp-served.js';

/** @throws ERR_INVALID_ARGUMENT that names the option and its value. */
export function checkOptions(options: SeedOptions): void {
  const { identity, server, sglang, rank = 0, workerId, workerPort = 0, drainTimeoutMs = 0 } = options;
  if (identity.modelName === '') throw invalid('expected a model name in identity.modelName but received an empty string');
  if (server === undefined && sglang === undefined) {
    throw invalid("nobody would find it: give server, the metadata server, or sglang, for SGLang's own processes");
  }
  if (!Number.isInteger(rank) || rank < 0 || rank > 0xffff_ffff) {
    throw invalid(`expected an unsigned 32-bit integer for rank but received ${rank}`);
  }
  if (workerId === '') throw invalid('expected a non-empty workerId');
  checkPort('workerPort', workerPort);
  checkDevice(options);
  checkZeroCopyChoice(options.zeroCopy ?? 'auto');
  if (!(drainTimeoutMs >= 0)) throw invalid(`expected a time, 0 or more, for drainTimeoutMs but received ${drainTimeoutMs}`);
  if (sglang !== undefined) checkSglang(sglang);
}

function checkDevice({ on, devicePath = 'auto', transport = 'auto' }: SeedOptions): void {
  if (on !== undefined) nativeDevice(on, 'seed: on');
  checkDevicePathChoice(devicePath, 'seed');
  if (transport === 'tcp' && (devicePath === 'dma-buf' || devicePath === 'peer-memory')) {
    throw invalid(`devicePath "${devicePath}" needs RDMA, and transport "tcp" was asked for; it offers a copy (staging)`);
  }
}

function checkSglang({ port, register }: SglangOffer): void {
  if (port === undefined && register === undefined) {
    throw invalid('sglang needs port, to answer at, or register, the URL of a server that answers');
  }
  if (port !== undefined) checkPort('sglang.port', port);
  const url = register === undefined ? undefined : URL.canParse(register) ? new URL(register) : null;
  if (url !== undefined && url?.protocol !== 'http:') {
    throw invalid(`expected http://host:port for sglang.register but received '${String(register)}'`);
  }
}

function checkPort(name: string, port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw invalid(`expected a port from 0 to 65535 for ${name} but received ${port}`);
  }
}

function invalid(what: string): WeightcastError {
  return new WeightcastError('ERR_INVALID_ARGUMENT', `seed: ${what}`);
}
