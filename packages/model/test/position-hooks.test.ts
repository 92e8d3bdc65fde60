import { capture, definePosition, formula, queryHook, scoreHook, scoreMod, type PositionLayer, type PositionPlugin } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { assertClose, GRADIENT } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { generate, type DecoderModel } from "../src/index.ts";
import { lab } from "./parts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 7 });
afterAll(() => { gpu.dispose(); });

/** A table by distance and rows for the queries, shared or each layer's own. */
const distance: PositionPlugin<"distance", "score", { readonly perLayer?: boolean }> = definePosition({
  name: "distance",
  sites: ["score"],
  options: { perLayer: { type: "boolean", default: false, doc: "tables of one's own" } },
  create: ({ perLayer = false }: { readonly perLayer?: boolean }, { heads, headDim }): PositionLayer => {
    const normal = { init: { kind: "normal", std: 1 } } as const;
    const table = capture(new Float32Array(heads * 9), [heads, 9], { name: "table", learned: true });
    const rows = capture(new Float32Array(5 * headDim), [5, headDim], { name: "rows", learned: true });
    return {
      perLayer,
      hooks: [
        scoreHook({ id: "near", program: scoreMod`score + ${table}[h, clamp(q - kv, 0, 8)]`, inits: { table: normal } }),
        queryHook({ id: "content", rows, row: formula({ q: "i32", kv: "i32" })`clamp(q - kv, 0, 4)`, inits: { rows: normal } }),
      ],
    };
  },
});
const own = lab.use(distance);
const IDS = [3, 1, 4, 1, 5, 2, 6, 5];
const build = (perLayer: boolean): DecoderModel => own.build(own.resolve({
  layers: 2, width: 12, vocab: 7, context: 9, position: { use: "distance", perLayer },
  attention: { use: "mha", heads: 4, kvHeads: 2, headDim: 4 }, norm: { use: "rms" }, embedding: { use: "tied" },
}), engine) as DecoderModel;
const positionsOf = (model: DecoderModel): string[] => model.parameters.all.map(({ name }) => name).filter((name) => name.includes("position"));

describe("the parameters of a position", () => {
  it("are one set for all layers, or one for each under its block", () => {
    expect(positionsOf(build(false))).toEqual(["position.near.table", "position.content.rows"]);
    expect(positionsOf(build(true)).sort()).toEqual([0, 1].flatMap((n) => [`blocks.${n}.position.content.rows`, `blocks.${n}.position.near.table`]));
  });

  it("add up over the layers where they are shared: equal tables give equal outputs, and gradients that sum to the shared one's", async () => {
    const [shared, apart] = [build(false), build(true)];
    for (const { name, tensor } of apart.parameters.all) engine.upload(tensor, await shared.parameters.get(name.replace(/blocks\.\d\.position/, "position"))!.tensor.read());
    const losses = [shared, apart].map((model) => engine.scope(() => {
      const loss = model.loss(model.ids(IDS), model.ids([...IDS.slice(1), 3]));
      loss.backward();
      return loss;
    }));
    assertClose(await losses[1]!.read(), await losses[0]!.read(), { label: "the loss" });
    for (const name of positionsOf(shared)) {
      const parts = await Promise.all([0, 1].map((n) => apart.parameters.get(`blocks.${n}.${name}`)!.tensor.grad!.read()));
      const whole = await shared.parameters.get(name)!.tensor.grad!.read();
      expect(parts[0]).not.toEqual(parts[1]);
      assertClose(Float32Array.from(whole, (_, i) => parts[0]![i]! + parts[1]![i]!), whole, { label: `the gradient of ${name}`, rule: GRADIENT });
    }
  });

  it("act alike when tokens come one by one, and in a step that is replayed", async () => {
    const model = build(true);
    const whole = await engine.noGrad(() => model.logits(model.ids(IDS))).read();
    for (const kind of ["dense", "static"] as const) {
      const cache = model.createCache({ batch: 1, kind });
      const parts: number[] = [];
      for (const part of [IDS.slice(0, 3), IDS.slice(3, 6), [IDS[6]!], [IDS[7]!]]) parts.push(...(await engine.noGrad(() => model.logits(model.ids(part), { cache })).read()));
      assertClose(parts, whole, { label: `logits from a ${kind} cache` });
    }
    const ids = async (replay: boolean): Promise<number[]> => {
      const all: number[] = [];
      for await (const id of generate(model, [3, 1, 4], { tokens: 6, temperature: 0, replay })) all.push(id);
      return all;
    };
    expect(await ids(true)).toEqual(await ids(false));
  });
});
