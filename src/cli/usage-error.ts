/**
 * A bad command line. Not a WeightcastError by class, so that parsing a command line does not load the library; it
 * reads the same: code `ERR_INVALID_ARGUMENT`, exit code 2.
 */
export class UsageError extends Error {
  readonly code = 'ERR_INVALID_ARGUMENT';

  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
