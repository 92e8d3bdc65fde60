import { TensorError } from "./errors.ts";
import { reachable, releaseNode, type TapeNode } from "./tape.ts";
import { Tensor } from "./tensor.ts";

/** What came to be inside one `scope` call. */
interface Scope {
  readonly tensors: Set<Tensor>;
  readonly nodes: TapeNode[];
}

/** Who owns tensors and tape nodes: the innermost scope in which they came to be. */
export class Scopes {
  readonly #open: Scope[] = [];

  /** See `Engine.scope`. */
  run<T>(work: () => T): T {
    const mine: Scope = { tensors: new Set(), nodes: [] };
    this.#open.push(mine);
    let result: T | undefined;
    try {
      result = work();
      if (result instanceof Promise) {
        result.catch(() => undefined); // superseded by the error below
        throw new TensorError("TENSOR_SCOPE", "scope() was given an asynchronous function", "compute inside of the scope, return the tensor, and read() it outside");
      }
      return result;
    } finally {
      this.#open.pop();
      const kept = tensorsIn(result);
      this.#closeNodes(mine.nodes, kept);
      for (const tensor of mine.tensors) {
        if (kept.has(tensor)) this.track(tensor);
        else tensor.dispose();
      }
    }
  }

  /** Takes `tensor` out of its scope. */
  forget(tensor: Tensor): void {
    for (const scope of this.#open) scope.tensors.delete(tensor);
  }

  track(tensor: Tensor): void {
    this.#open.at(-1)?.tensors.add(tensor);
  }

  trackNode(node: TapeNode): void {
    this.#open.at(-1)?.nodes.push(node);
  }

  /** A graph that outlives its outermost scope without a backward pass would hold its saved tensors for ever. */
  #closeNodes(nodes: readonly TapeNode[], kept: ReadonlySet<Tensor>): void {
    const open = nodes.filter((node) => node.saved !== undefined);
    const parent = this.#open.at(-1);
    if (parent !== undefined) {
      for (const node of open) parent.nodes.push(node);
      return;
    }
    const needed = new Set([...kept].flatMap(reachable));
    for (const node of open) if (!needed.has(node)) releaseNode(node);
  }
}

/** The tensors in what a scope returns: one, or an array or plain object of them. */
export function tensorsIn(value: unknown): Set<Tensor> {
  const found = new Set<Tensor>();
  collect(value, found);
  return found;
}

function collect(value: unknown, found: Set<Tensor>): void {
  if (value instanceof Tensor) found.add(value);
  else if (Array.isArray(value)) for (const item of value) collect(item, found);
  else if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) for (const item of Object.values(value)) collect(item, found);
}
