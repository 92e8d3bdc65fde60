import { PolyheadError, type Communicator } from "@polyhead/core";

/** What every rank must have alike, by the words that an error calls it. */
export type Alike = Readonly<Record<string, number>>;

export interface Comparison {
  /** `TRAIN_RANKS_DIFFER`, naming the first number that is not the same everywhere; every rank has one, or none has. */
  readonly difference: PolyheadError | undefined;
  readonly largest: readonly number[];
}

/**
 * Compares numbers over all ranks in one small reduction: the largest of x and the largest of −x tell whether all are equal, to all
 * ranks alike.
 *
 * @param when     for messages, such as `before update 3`
 * @param largest  further numbers, of which the largest over all ranks is returned
 * @throws PolyheadError what `allReduce` throws.
 */
export async function compare(control: Communicator, when: string, alike: Alike, largest: readonly number[] = []): Promise<Comparison> {
  const names = Object.keys(alike);
  const own = Object.values(alike);
  const data = Float64Array.of(...own, ...own.map((x) => -x), ...largest);
  await control.allReduce(data, "max").wait();
  const at = names.findIndex((_, i) => data[i] !== -data[names.length + i]!);
  return {
    difference: at < 0 ? undefined : new PolyheadError(
      "TRAIN_RANKS_DIFFER",
      `${when}, ${names[at]!} differs between ranks: rank ${control.rank} has ${own[at]!}, all have from ${-data[names.length + at]!} to ${data[at]!}`,
      "start every rank with the same program, data, options and files; resume from the last checkpoint",
    ),
    largest: [...data.subarray(2 * names.length)],
  };
}

/** `compare` that throws the difference. */
export async function agree(control: Communicator, when: string, alike: Alike, largest: readonly number[] = []): Promise<readonly number[]> {
  const compared = await compare(control, when, alike, largest);
  if (compared.difference !== undefined) throw compared.difference;
  return compared.largest;
}

/** 32 bits that tell data apart: FNV-1a over words, whose high bits are folded into the low ones as it goes. */
export function fingerprint(words: Uint32Array | Uint16Array | readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const word of words) {
    hash = Math.imul(hash ^ word, 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

/** The same of a text. */
export const fingerprintOfText = (text: string): number => fingerprint(Uint16Array.from(text, (c) => c.charCodeAt(0)));
