// The few numbers that a side-by-side measurement comes to.

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Ours beside the peer's, run by run: run i of both stood next to each other in time, so drift of the machine falls out.
 * @param {readonly number[]} ours @param {readonly number[]} theirs as many
 * @returns {{ ours: number, theirs: number, ratio: number, pairwise: number[], lowest: number, highest: number }}
 * medians, their ratio, and the ratios of the pairs with their extremes
 */
export function compared(ours, theirs) {
  if (ours.length === 0 || ours.length !== theirs.length) throw new Error(`${ours.length} runs of ours beside ${theirs.length} of theirs`);
  const pairwise = ours.map((value, i) => value / theirs[i]);
  return {
    ours: median(ours),
    theirs: median(theirs),
    ratio: median(ours) / median(theirs),
    pairwise,
    lowest: Math.min(...pairwise),
    highest: Math.max(...pairwise),
  };
}

/**
 * Lines of right-aligned columns.
 * @param {readonly (readonly string[])[]} rows the first is the heading
 */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => cell.padStart(widths[column])).join('   ')).join('\n');
}
