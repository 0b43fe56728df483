// The test runner behind scripts/test: runs the stages one after the other, goes on after a failed one, and ends with one
// line that counts the test cases of all of them.
import { describe, none, sum } from './counts.mjs';
import { stages } from './stages.mjs';

const wanted = process.argv.slice(2);
if (wanted.includes('--list')) {
  for (const stage of stages) console.log(`${stage.name.padEnd(20)}${stage.title}`);
  process.exit(0);
}
const unknown = wanted.filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(`scripts/test: no stage ${unknown.join(', ')}; there are: ${stages.map((stage) => stage.name).join(' ')}`);
  process.exit(2);
}

const selected = stages.filter((stage) => wanted.length === 0 || wanted.includes(stage.name));
const results = [];
let built = true;
for (const [index, stage] of selected.entries()) {
  console.log(`\n=== ${index + 1}/${selected.length} ${stage.name}: ${stage.title}`);
  const started = performance.now();
  const result = stage.needsBuild && !built ? notRun() : await runStage(stage);
  if (stage.name === 'build') built = result.ok;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  results.push({ stage, seconds, ...result });
  console.log(`--- ${verdict(results.at(-1))}`);
}

const failed = results.filter((result) => !result.ok);
console.log('\n=== summary');
for (const result of results) console.log(verdict(result));
// Again, by name: a long log is often shown by its end only.
for (const { stage, counts } of failed) {
  console.log(`failed: ${stage.name}`);
  for (const name of counts?.failures ?? []) console.log(`  ✗ ${name}`);
}
console.log(describe(sum(...results.map((result) => result.counts ?? none()))));
process.exitCode = failed.length > 0 ? 1 : 0;

async function runStage(stage) {
  if (stage.holds !== undefined) return { ok: await stage.holds() };
  const counts = await stage.counts();
  return { ok: counts.failed === 0, counts };
}

function notRun() {
  console.log('not run: the build failed');
  return { ok: false, counts: { ...none(), failed: 1 } };
}

function verdict({ stage, seconds, ok, counts }) {
  const outcome = counts === undefined ? (ok ? 'ok' : 'failed') : describe(counts);
  return `${ok ? '✓' : '✗'} ${stage.name.padEnd(20)}${seconds.padStart(7)} s   ${outcome}`;
}
