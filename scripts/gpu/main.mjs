// What scripts/gpu-check runs: `main.mjs [MEBIBYTES]`.
import { native } from '../../dist/native.js';
import { checkEngine } from './engine.mjs';
import { checkPaths } from './paths.mjs';

const NO_GPU = 3;
const PIECE_MIB = 16;

const mebibytes = Number(process.argv[2] ?? 1024);
if (!Number.isInteger(mebibytes) || mebibytes < PIECE_MIB || mebibytes % PIECE_MIB !== 0) {
  console.error(`gpu-check: the argument is MiB of each pull, a multiple of ${PIECE_MIB}, not '${process.argv[2]}'`);
  process.exit(2);
}

const { accelerators, drivers, peerMemory } = await native().listAccelerators();
const gpus = accelerators.filter(({ kind }) => kind === 'cuda');
if (gpus.length === 0) {
  console.log(`no NVIDIA GPU here: ${drivers.find(({ kind }) => kind === 'cuda')?.reason}`);
  process.exit(NO_GPU);
}
const nics = await native()
  .listDevices()
  .then((ports) => ports.filter(({ active }) => active))
  .catch(() => []);
for (const { ordinal, name, pciAddress, bytes } of gpus)
  console.log(`cuda:${ordinal}  ${name}, ${pciAddress}, ${(Number(bytes) / 1e9).toFixed(1)} GB`);
for (const { device, provider, software, netdev } of nics)
  console.log(`${device}  ${provider}${software ? ', software' : ''}${netdev === '' ? '' : `, ${netdev}`}`);

const rows = [...(await checkPaths({ accelerators, peerMemory, nics }, mebibytes * 2 ** 20)), ...(await checkEngine())];
// Reasons may be long: each on a line of its own.
console.log(`\n${'result'.padEnd(10)}${'GB/s'.padStart(7)}  what`);
for (const { what, result, gigabytes, reason } of rows)
  console.log(`${result.padEnd(10)}${(gigabytes?.toFixed(2) ?? '').padStart(7)}  ${what}\n${' '.repeat(19)}${reason}`);
process.exitCode = rows.some(({ result }) => result === 'FAILED') ? 1 : 0;
