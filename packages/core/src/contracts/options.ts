interface OptionBase {
  /** One line, shown by `--help` and in error messages. */
  readonly doc: string;
  /** The option must be given. Without `required` and without `default`, leaving it out lets the plugin derive a value. */
  readonly required?: boolean;
}

/** A whole or real number, bounds inclusive. */
export interface NumberOption extends OptionBase {
  readonly type: "integer" | "number";
  readonly default?: number;
  readonly min?: number;
  readonly max?: number;
}

export interface BooleanOption extends OptionBase {
  readonly type: "boolean";
  readonly default?: boolean;
}

export interface StringOption extends OptionBase {
  readonly type: "string";
  readonly default?: string;
}

/** One of a closed list of words. */
export interface ChoiceOption extends OptionBase {
  readonly type: "choice";
  readonly choices: readonly string[];
  readonly default?: string;
}

/** A list of numbers, bounds inclusive; its length is the plugin's business. */
export interface NumbersOption extends OptionBase {
  readonly type: "numbers";
  readonly default?: readonly number[];
  readonly min?: number;
  readonly max?: number;
}

/** Options of their own under one key, such as the parameters of a method that another option would name. */
export interface GroupOption extends OptionBase {
  readonly type: "group";
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly default?: Readonly<Record<string, unknown>>;
}

/** The run-time description of one option: it validates configs that come from JSON or a command line. */
export type OptionSpec = NumberOption | BooleanOption | StringOption | ChoiceOption | NumbersOption | GroupOption;

/** One {@link OptionSpec} for every key of the config type `C`, so that the two cannot drift apart. */
export type OptionSpecs<C = Record<string, unknown>> = { readonly [K in keyof C]-?: OptionSpec };

/** The config type of a plugin without options. */
// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- an object without keys is what is meant
export type NoConfig = Record<never, never>;
