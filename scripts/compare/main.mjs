// `npm run compare -- NAME`: one module a comparison, with `title` and `measure`, which says whether its threshold holds.
import * as attacks from './attacks.mjs';
import * as cost from './cost.mjs';
import * as local from './local.mjs';
import * as mooncake from './mooncake.mjs';
import * as out from './out.mjs';
import * as perftest from './perftest.mjs';
import * as plan from './plan.mjs';
import * as register from './register.mjs';
import * as small from './small.mjs';
import * as staging from './staging.mjs';
import * as tcp from './tcp.mjs';
import * as ucx from './ucx.mjs';
import { latency, loss, rails } from './two-hosts.mjs';

const comparisons = {
  attacks,
  cost,
  latency,
  local,
  loss,
  mooncake,
  out,
  perftest,
  plan,
  rails,
  register,
  small,
  staging,
  tcp,
  ucx,
};

const name = process.argv[2];
if (name === undefined) {
  console.log('npm run compare -- NAME, where NAME is one of:');
  for (const [each, { title }] of Object.entries(comparisons)) console.log(`  ${each.padEnd(12)}${title}`);
} else if (!Object.hasOwn(comparisons, name)) {
  console.error(`compare: there is no '${name}'; without a name all are listed`);
  process.exitCode = 2;
} else if (!(await comparisons[name].measure(process.argv[3]))) {
  process.exitCode = 1;
}
