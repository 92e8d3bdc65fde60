import type { TapeNode } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

/** Hears of a leaf whose gradient nothing adds to any more in this backward pass. */
export type OnGradient = (leaf: Tensor) => void;

/**
 * Counts, for every leaf, the nodes that may still deliver to it. While a node waits that also delivers to leaves it does not name
 * (`TapeNode.reachesFurther`), no leaf is final.
 */
export class FinalGradients {
  readonly #tell: OnGradient;
  readonly #awaited = new Map<Tensor, number>();
  /** Final as far as named inputs go. */
  #ready: Tensor[] = [];
  #furtherReaching = 0;

  /** @param nodes  all that the backward pass will visit */
  constructor(nodes: readonly TapeNode[], tell: OnGradient) {
    this.#tell = tell;
    for (const node of nodes) {
      for (const leaf of leavesOf(node)) this.#awaited.set(leaf, (this.#awaited.get(leaf) ?? 0) + 1);
      if (node.reachesFurther) this.#furtherReaching++;
    }
  }

  /** `node` has delivered all it had. */
  visited(node: TapeNode): void {
    for (const leaf of leavesOf(node)) {
      const left = (this.#awaited.get(leaf) ?? 0) - 1;
      this.#awaited.set(leaf, left);
      if (left === 0) this.#ready.push(leaf);
    }
    if (node.reachesFurther) this.#furtherReaching--;
    if (this.#furtherReaching > 0) return;
    const ready = this.#ready;
    this.#ready = [];
    for (const leaf of ready) this.#tell(leaf);
  }
}

const leavesOf = ({ inputs }: TapeNode): readonly Tensor[] => inputs.filter(({ node, requiresGrad }) => node === undefined && requiresGrad);
