import type { Engine } from "@polyhead/tensor";
import type { CaseRecord } from "../record.ts";

export interface SetOptions {
  /** Whether the case of this name is to be run. */
  readonly wanted: (name: string) => boolean;
  /** Plan this kernel or none, where a case has a kernel to choose. */
  readonly kernel?: string;
}

/** Runs the cases of one set. */
export type ReferenceSet = (data: string, engine: Engine, options: SetOptions) => AsyncGenerator<CaseRecord>;
