import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { add, checkpoint, createEngine, linkMany, matmul, mul, scale, sum, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const leaf = (...data: number[]): Tensor => engine.tensor(data, [data.length], { requiresGrad: true });

/** What a backward pass says of its leaves, in order, with the gradient that each had when it was told. */
async function told(leaves: Readonly<Record<string, Tensor>>, loss: () => Tensor): Promise<[string, number[] | undefined][]> {
  const names = new Map(Object.entries(leaves).map(([name, tensor]) => [tensor, name]));
  const said: [string, Tensor | undefined][] = [];
  engine.scope(() => {
    loss().backward(undefined, {
      // A copy of now: what is added later must not show.
      onGradient: (tensor) => { said.push([names.get(tensor)!, tensor.grad && engine.keep(scale(tensor.grad, 1))]); },
    });
  });
  return Promise.all(said.map(async ([name, grad]) => [name, grad && [...(await grad.read())]] as [string, number[] | undefined]));
}

describe("a backward pass tells of each leaf", () => {
  it("once, after its last contribution, the later layers first", async () => {
    const [a, b] = [leaf(2, 3), leaf(5, 7)];
    // a is used by both layers, so it is final only after the first of them.
    const loss = (): Tensor => sum(mul(b, mul(a, scale(a, 10))));
    expect(await told({ a, b }, loss)).toEqual([["b", [40, 90]], ["a", [200, 420]]]);
  });

  it("of tied weights, when both ends of the model have delivered", async () => {
    const [table, middle] = [[1, 2, 3, 4], [1, 0, 0, 2]].map((data) => engine.tensor(data, [2, 2], { requiresGrad: true })) as [Tensor, Tensor];
    const said = await told({ table, middle }, () => sum(matmul(matmul(scale(table, 1), middle), table)));
    expect(said.map(([name]) => name)).toEqual(["middle", "table"]);
    expect(said[1]![1]).toEqual([...(await table.grad!.read())]);
  });

  it("with the gradient of earlier passes in it", async () => {
    const a = leaf(1, 2);
    engine.scope(() => { sum(scale(a, 100)).backward(); });
    expect(await told({ a }, () => sum(scale(a, 1)))).toEqual([["a", [101, 101]]]);
  });

  it("also of one that got nothing, but not of one that the loss does not depend on", async () => {
    const [a, b, unused] = [leaf(1), leaf(2), leaf(3)];
    const loss = (): Tensor => {
      const [first] = linkMany([scale(a.detach(), 1), scale(b.detach(), 1)], { inputs: [a, b], backward: ([g]) => [g, undefined] });
      return sum(first);
    };
    expect(await told({ a, b, unused }, loss)).toEqual([["a", [1]], ["b", undefined]]);
  });

  it("that is the loss itself", async () => {
    const a = leaf(4);
    expect(await told({ a }, () => a)).toEqual([["a", [1]]]);
  });

  it("not before the last checkpoint has run: it may reach leaves that it does not name", async () => {
    const [a, b, x] = [leaf(2), leaf(3), leaf(5)];
    // b is used outside first, which would make it final before the checkpoint adds to it.
    const loss = (): Tensor => sum(mul(add(checkpoint((t) => mul(mul(t, b), a), x), scale(a, 0)), b));
    const said = await told({ a, b, x }, loss);
    expect(new Map(said)).toEqual(new Map([["b", [60]], ["x", [18]], ["a", [45]]]));
    expect(said).toHaveLength(3);
  });
});
