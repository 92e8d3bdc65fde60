import type { BoundHook, Plan } from "@polyhead/core";
import type { Safetensors } from "@polyhead/core/safetensors";
import { cast, type Engine, type Tensor } from "@polyhead/tensor";
import { compare, flashCases, FORWARD, GRADIENT, ONNX_F16, report, type FlashCase, type Rule } from "@polyhead/testkit";
import { flashAttributes, type FlashAttributes } from "../flash/attributes.ts";
import { flashProblem, type FlashProblem } from "../flash/problem.ts";
import { attentionLab, loweringOf } from "../kernels.ts";
import type { CaseRecord } from "../record.ts";
import { UnsupportedCase } from "../unsupported.ts";
import type { SetOptions } from "./set.ts";

/** Shapes that fused attention stumbles over: outputs, log-sum-exp and the gradients of queries, keys and values. */
export async function* flashShapes(data: string, engine: Engine, { wanted, kernel }: SetOptions): AsyncGenerator<CaseRecord> {
  for (const one of flashCases(data)) if (wanted(one.case)) yield await runCase(one, engine, kernel);
}

async function runCase(one: FlashCase, engine: Engine, only: string | undefined): Promise<CaseRecord> {
  const failed = { set: "flash-shapes", case: one.case, kernel: "-", lowering: {}, maxError: null, pass: false };
  let told: Pick<CaseRecord, "kernel" | "lowering"> = failed;
  try {
    const file = one.load();
    const attributes = flashAttributes(one.attributes);
    const problem = flashProblem(attributes, file);
    const plan = planOf(attributes, problem, file, engine, only);
    told = { kernel: plan.kernel.name, lowering: loweringOf(plan, engine.gpu.caps) };
    const results = run(plan, attributes, problem, file, engine);
    let maxError = 0;
    let reason: string | null = null;
    for (const [name, { tensor, rule }] of Object.entries(results)) {
      const want = file.get(name);
      const found = compare(await tensor.read(), want.numbers(), rule);
      maxError = Math.max(maxError, found.maxError);
      if (!found.pass) reason ??= `${name}: ${report(found, want.size, want.shape)}`;
      tensor.dispose();
    }
    return { ...failed, ...told, maxError, pass: reason === null, reason };
  } catch (error) {
    return { ...failed, ...told, reason: error instanceof UnsupportedCase ? `unsupported: ${error.message}` : String(error) };
  }
}

function planOf({ B, H, HK, Tq, Tk, D, Dv }: FlashAttributes, { mask, score }: FlashProblem, file: Safetensors, engine: Engine, only: string | undefined): Plan {
  const dtype = file.get("in.q").dtype === "F16" ? "f16" : "f32";
  const problem = { heads: H, kvHeads: HK, headDimQK: D, headDimV: Dv, dtype, mask, qk: [], score, backward: true, cache: "none", dropout: false, padded: false, sizes: { batch: B, queries: Tq, keys: Tk } } as const;
  return attentionLab.plan(problem, engine.gpu.caps, only);
}

/** Runs a plan forward and backward; tensors by their names in the file. */
function run({ kernel, how }: Plan, { scale }: FlashAttributes, { mask, score, qOffset }: FlashProblem, file: Safetensors, engine: Engine): Readonly<Record<string, { readonly tensor: Tensor; readonly rule: Rule }>> {
  const tensorHook = score.find(({ id }) => how[id] !== "inline");
  if (tensorHook !== undefined) throw new UnsupportedCase(`score hook '${tensorHook.id}' as a bias tensor`);
  const leaf = (name: string): Tensor => {
    const { shape } = file.get(name);
    return engine.tensor(file.get(name).floats(), shape, { requiresGrad: true });
  };
  const leaves = { q: leaf("in.q"), k: leaf("in.k"), v: leaf("in.v") };
  const half = file.get("in.q").dtype === "F16";
  const bound = score.map((hook): BoundHook<Tensor, typeof hook> => ({ hook, params: {} }));
  const { o, lse } = engine.scope(() => {
    const stored = half ? { q: cast(leaves.q, "f16"), k: cast(leaves.k, "f16"), v: cast(leaves.v, "f16") } : leaves;
    const out = kernel.run({ ...stored, scale, mask, qOffset, kvOffset: 0, qk: [], score: bound, dropout: 0 }) as { o: Tensor; lse: Tensor };
    const dout = file.get("in.dout");
    out.o.backward(engine.tensor(dout.floats(), dout.shape));
    return { o: out.o, lse: out.lse };
  });
  const gradient = (x: Tensor): Tensor => {
    if (x.grad === undefined) throw new Error("an input got no gradient");
    return x.grad;
  };
  const [forward, backward] = half ? [ONNX_F16, ONNX_F16] : [FORWARD, GRADIENT];
  const results = {
    "out.y": { tensor: o, rule: forward },
    "out.lse": { tensor: lse, rule: forward },
    "grad.q": { tensor: gradient(leaves.q), rule: backward },
    "grad.k": { tensor: gradient(leaves.k), rule: backward },
    "grad.v": { tensor: gradient(leaves.v), rule: backward },
  };
  for (const x of Object.values(leaves)) x.dispose();
  return results;
}
