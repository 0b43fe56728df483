// What `ucx_perftest -f` prints.

/** Its overall rate, bytes a second. It says MB/s and means 2^20 bytes. @param {string} output */
export function ucxBytesPerSecond(output) {
  // Iterations, three latencies, MB/s of the last stage and of all, two message rates.
  const rate = Number(/^\s*\d+\s+(?:[\d.]+\s+){4}([\d.]+)\s+\d+\s+\d+\s*$/m.exec(output)?.[1]);
  if (!(rate > 0)) throw new Error(`ucx_perftest printed no result:\n${output}`);
  return rate * 2 ** 20;
}
