/** The command line of a run, for its report. */

/** @param argv without interpreter and script. What stands between `//` and `@` of a URL is a secret. */
export function commandLine(argv: readonly string[]): string {
  return ['weightcast', ...argv.map((word) => quoted(word.replace(/\/\/[^/]*@/g, '//***@')))].join(' ');
}

function quoted(word: string): string {
  return /^[\w./:=,@%+*-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
