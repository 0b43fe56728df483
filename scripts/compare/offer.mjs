// A seed of known bytes in a process of its own, and pulls from it in others.
import path from 'node:path';
import { root } from '../testing/shell.mjs';
import { finished, service } from './processes.mjs';

const program = path.join(root, 'scripts/compare/offer-process.mjs');
const cli = path.join(root, 'dist/cli/main.js');

/**
 * @param {{ name: string, tensors: [count: number, bytes: number], wire: object }} what `wire` as in src/bench/source/offer.ts
 * @returns {Promise<{ pull: (flags: readonly string[]) => Promise<object>, command: (flags: readonly string[]) => string[],
 * from: { identity: object, server: string }, stop: () => Promise<void> }>} `from`: where the library's `pull` finds it; `pull`: the result of `weightcast pull --discard --json`, which throws when it went another way
 */
export async function openOffer(what) {
  const { ready, stop } = await service([process.execPath, program, JSON.stringify(what)]);
  const from = ['--server', ready.address, '--model-name', `weightcast-bench/${what.name}`, '--discard', '--json'];
  const command = (flags) => [process.execPath, cli, 'pull', ...from, '--transport', what.wire.transport, ...flags];
  const bytes = what.tensors[0] * what.tensors[1];
  const pull = async (flags) => {
    const result = JSON.parse(await finished(command(flags)));
    if (result.transport !== what.wire.transport) throw new Error(`the pull went over ${result.transport}: ${result.transportReason}`);
    if (Number(result.bytes) !== bytes) throw new Error(`the pull brought ${result.bytes} of ${bytes} bytes`);
    return result;
  };
  return { pull, command, from: { identity: { modelName: `weightcast-bench/${what.name}` }, server: ready.address }, stop };
}
