/**
 * A start that cannot go on for a reason the user can change. The message is one sentence which says what to
 * do; the CLI prints it alone, without a stack.
 */
export class StartupError extends Error {
  /** 1: something failed; 2: the command or a setting was wrong. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartupError';
    this.exitCode = exitCode;
  }
}
