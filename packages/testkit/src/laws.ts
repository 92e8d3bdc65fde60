/** One law of a contract, for a test runner: `for (const { name, check } of laws) it(name, check)`. */
export interface Law {
  readonly name: string;
  readonly check: () => Promise<void>;
}
