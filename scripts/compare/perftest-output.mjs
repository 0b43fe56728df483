// What ib_read_bw prints.

/**
 * Its average, in GB/s of 10^9 bytes. perftest says MB/sec (newer ones MiB/sec) and means 2^20 bytes in both.
 * @param {string} output @param {number} bytes of a read, as it was asked for
 */
export function averageOf(output, bytes) {
  if (!/BW average\[Mi?B\/sec\]/.test(output)) throw new Error(`ib_read_bw printed no average in MiB/s:\n${output}`);
  const row = /^ *(\d+) +(\d+) +([\d.]+) +([\d.]+) +[\d.]+ *$/m.exec(output.replaceAll('\t', ' '));
  if (row === null || Number(row[1]) !== bytes) throw new Error(`ib_read_bw printed no line of results:\n${output}`);
  return (Number(row[4]) * 1024 * 1024) / 1e9;
}
