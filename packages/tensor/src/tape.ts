import type { OperatorName } from "./anomalies.ts";
import { showShape, TensorError } from "./errors.ts";
import { FinalGradients, type OnGradient } from "./final-gradients.ts";
import { accumulate } from "./kernels/accumulate.ts";
import { sameShape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** One recorded operation. Later operations have larger ids, so descending ids are a reverse topological order. */
export interface TapeNode {
  readonly id: number;
  readonly inputs: readonly Tensor[];
  /** Handles of its own on what backward needs; `undefined` once used. */
  saved: readonly Tensor[] | undefined;
  readonly backward: Backward;
  /** For messages; undefined where the node is plumbing, and makes no numbers. */
  readonly name: OperatorName | undefined;
  readonly reachesFurther: boolean;
}

/** Vector-Jacobian product: the gradient of the output in, the gradients of the inputs out (`undefined` for none). */
export type Backward = (grad: Tensor, saved: readonly Tensor[]) => readonly (Tensor | undefined)[];

export interface Link {
  /** What messages of the anomaly mode call the operator. */
  readonly name?: OperatorName;
  /** What the output depends on. */
  readonly inputs: readonly Tensor[];
  /** What backward reads; kept alive until then. Backward must use these handles, not captured ones. */
  readonly saves?: readonly Tensor[];
  readonly backward: Backward;
  /** `backward` also adds to the gradients of leaves that are not among the inputs, as that of a checkpoint does. */
  readonly reachesFurther?: boolean;
}

export interface BackwardOptions {
  /**
   * Hears of each leaf with `requiresGrad` that the tensor depends on, once, as soon as nothing adds to its gradient any more:
   * later layers first, while the rest of the pass is still to be recorded. A gradient that is not there by then is zero. A leaf that
   * only the inside of a `checkpoint` uses is not told, and while a checkpoint waits for its gradient, no leaf is.
   */
  readonly onGradient?: OnGradient;
}

/**
 * The whole contract between an operator and the tape: run any kernels you like, then link output and inputs.
 * Does nothing under `noGrad`, or when no input needs a gradient.
 *
 * @returns `output`
 */
export function link(output: Tensor, { name = UNNAMED, ...operator }: Link): Tensor {
  output.engine.anomalies?.observe(name, [output], operator.inputs);
  return attach(output, { name, ...operator });
}

/** What `link` calls operators without a name. */
const UNNAMED = "a custom operator";

/** `link` without a look at the numbers; without a name, the gradients are not looked at either. */
export function attach(output: Tensor, { name, inputs, saves = [], backward, reachesFurther = false }: Link): Tensor {
  const { engine } = output;
  if (!engine.gradEnabled || !inputs.some((input) => input.requiresGrad)) return output;
  output.requiresGrad = true;
  output.node = { id: engine.nextNodeId(), inputs, saved: saves.map((tensor) => tensor.alias()), backward, name, reachesFurther };
  engine.trackNode(output.node);
  return output;
}

/** See `Tensor.backward`. */
export function backward(root: Tensor, seed?: Tensor, { onGradient }: BackwardOptions = {}): void {
  const { engine } = root;
  if (root.node === undefined && !root.requiresGrad) {
    throw new TensorError("TENSOR_GRAPH", `backward() from a tensor of shape ${showShape(root.shape)} that depends on no parameter`, "set requiresGrad on a leaf, and compute outside of noGrad");
  }
  if (seed === undefined && root.size !== 1) {
    throw new TensorError("TENSOR_GRAPH", `backward() from a tensor of shape ${showShape(root.shape)} without a seed`, "reduce it to a single loss, or pass the gradient of the loss with respect to it");
  }
  if (seed !== undefined && !sameShape(seed.shape, root.shape)) {
    throw new TensorError("TENSOR_SHAPE", `the seed has shape ${showShape(seed.shape)}, the tensor ${showShape(root.shape)}`, "give a seed of the tensor's own shape");
  }
  engine.noGrad(() => {
    engine.scope(() => {
      const gradients = new Map<TapeNode, Tensor>();
      deliver(root, seed ?? engine.full(root.shape, 1), gradients);
      const nodes = reachable(root);
      if (root.node === undefined) onGradient?.(root);
      const final = onGradient && new FinalGradients(nodes, onGradient);
      for (const node of nodes) {
        step(node, gradients);
        final?.visited(node);
      }
    });
  });
}

/** Takes one node off the tape: its gradient and what it saved are free afterwards. */
function step(node: TapeNode, gradients: Map<TapeNode, Tensor>): void {
  const grad = gradients.get(node);
  gradients.delete(node);
  const saved = node.saved;
  if (saved === undefined) throw new TensorError("TENSOR_GRAPH", "this part of the graph was already consumed by an earlier backward()", "run the forward pass again, or add the losses and call backward() once");
  node.saved = undefined;
  if (grad !== undefined) {
    grad.engine.scope(() => {
      pullBack(node, grad, saved).forEach((g, i) => {
        const input = node.inputs[i]!;
        if (g !== undefined && input.requiresGrad) deliver(input, g, gradients);
      });
    });
    grad.dispose();
  }
  for (const tensor of saved) tensor.dispose();
}

function pullBack({ name, backward }: TapeNode, grad: Tensor, saved: readonly Tensor[]): ReturnType<Backward> {
  const watch = grad.engine.anomalies;
  if (watch === undefined || name === undefined) return backward(grad, saved);
  return watch.backward(name, [grad, ...saved], () => backward(grad, saved));
}

/** Takes a node off the tape without running it. */
export function releaseNode(node: TapeNode): void {
  for (const tensor of node.saved ?? []) tensor.dispose();
  node.saved = undefined;
}

/** Adds `grad` to what `target` has gathered so far. The handle given stays the caller's. */
function deliver(target: Tensor, grad: Tensor, gradients: Map<TapeNode, Tensor>): void {
  if (!sameShape(target.shape, grad.shape)) {
    throw new TensorError("TENSOR_SHAPE", `a backward function gave a gradient of shape ${showShape(grad.shape)} for an input of shape ${showShape(target.shape)}`, "return gradients in the order and shapes of the inputs");
  }
  const { node } = target;
  const before = node === undefined ? target.grad : gradients.get(node);
  const after = before === undefined ? grad.alias() : accumulate(before, grad);
  if (node === undefined) target.grad = after;
  else gradients.set(node, after);
}

/** The nodes that `root` depends on, latest first. */
export function reachable(root: Tensor): TapeNode[] {
  const found = new Set<TapeNode>();
  const waiting = root.node === undefined ? [] : [root.node];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    for (const { node: next } of node.inputs) if (next !== undefined) waiting.push(next);
  }
  return [...found].sort((a, b) => b.id - a.id);
}
