// What a pull of a known kind brought.

/**
 * The output of a pull into `kind`: its type depends on what was asked for, which `pull` does not say.
 * @template {import('../../dist/index.js').PullOutput['kind']} Kind
 * @param {{ readonly output: import('../../dist/index.js').PullOutput }} result
 * @param {Kind} kind
 * @returns {Extract<import('../../dist/index.js').PullOutput, { kind: Kind }>}
 */
export function outputOf({ output }, kind) {
  if (output.kind !== kind) throw new Error(`the pull brought '${output.kind}', not '${kind}'`);
  return /** @type {Extract<import('../../dist/index.js').PullOutput, { kind: Kind }>} */ (output);
}
