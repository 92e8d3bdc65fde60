import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { tied, embedReference, logitsReference } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const [vocab, width] = [11, 5];
const made = tied.create({}, { width, layers: 1, context: 8, vocab, dropout: 0 });
const ids = [3, 0, 10, 3, 7, 3];
const tables = Object.fromEntries(Object.keys(made.params).map((name, i) => [name, { shape: [vocab, width], data: uniform(vocab * width, i + 1) }]));
const idTensor = (): Tensor => engine.tensor(ids, [2, 3], { dtype: "u32" });

describe("tied embedding", () => {
  it("looks tokens up, and adds up the gradients of those that come again", async () => {
    await checkGradients({
      inputs: { weight: tables["weight"]! },
      reference: ({ weight }) => embedReference(ids, weight!, width),
      run: onEngine(engine, ({ weight }) => made.embed(idTensor(), { ...others, weight: weight! })),
    });
  });

  it("scores every token against a hidden state", async () => {
    const hidden = { shape: [2, 3, width], data: uniform(6 * width, 9) };
    await checkGradients({
      inputs: { hidden, weight: tables["weight"]! },
      reference: (v) => logitsReference(v["hidden"]!, v["weight"]!, width),
      run: onEngine(engine, (t) => made.logits(t["hidden"]!, { ...others, weight: t["weight"]! })),
    });
  });

  it("takes the mean cross-entropy of its own logits as loss", async () => {
    const hidden = engine.tensor(uniform(6 * width, 9), [2, 3, width]);
    const logits = logitsReference(Float64Array.from(await hidden.read()), Float64Array.from(tables["weight"]!.data), width);
    const losses = ids.map((id, row) => {
      const own = logits.subarray(row * vocab, (row + 1) * vocab);
      return Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0)) - own[id]!;
    });
    const got = made.loss!(hidden, idTensor(), others);
    assertClose(await got.read(), [losses.reduce((a, b) => a + b, 0) / 6]);
    expect(made.tied).toBe(true);
  });
});

const others = Object.fromEntries(Object.entries(tables).map(([name, { shape, data }]) => [name, engine.tensor(data, shape)]));
