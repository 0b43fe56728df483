// Those that are compared take turns, so that drift of the computer falls on all alike.
import { quiet } from './processors.mjs';

/** A round is done again when others took more of the processors while one of its reads ran; so many times in all. */
const OTHERS_SHARE = 0.08;
const REPEATS = 30;

/**
 * Lets readers take turns: each reads once to warm up and then `runs` times.
 * @param {string} name of what is read
 * @param {number} runs
 * @param {Record<string, { read: () => Promise<{ bytes: number, seconds: number, othersShare?: number }> }>} readers by who they are;
 * `othersShare`: of all processors' time meanwhile, what neither they nor the seed took
 * @returns {Promise<object[]>} what the reads returned, with `who` and `run`, from 1
 */
export async function alternating(name, runs, readers) {
  const results = [];
  let repeats = 0;
  for (let run = 0; run <= runs; run += 1) {
    const round = [];
    for (const [who, reader] of Object.entries(readers)) {
      const result = { who, run, ...(await reader.read()) };
      const rate = result.bytes / result.seconds / 1e9;
      console.log(`${name}, ${run === 0 ? 'warming up' : `run ${run} of ${runs}`}: ${who} ${rate.toFixed(4)} GB/s`);
      round.push(result);
    }
    const others = Math.max(...round.map(({ othersShare = 0 }) => othersShare));
    if (run > 0 && others > OTHERS_SHARE && repeats < REPEATS) {
      console.log(`  done again: others took ${(100 * others).toFixed(0)} % of the processors`);
      repeats += 1;
      run -= 1;
      await quiet();
    } else if (run > 0) {
      results.push(...round);
    }
  }
  return results;
}
