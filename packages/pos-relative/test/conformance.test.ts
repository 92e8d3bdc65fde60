import { flash } from "@polyhead/attn-flash";
import { reference } from "@polyhead/attn-mha";
import { biasOfHooks } from "@polyhead/attn-mha/kernel";
import { causal, full, type Mask, type PositionLayer, type ScoreHook } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { add, cast, createEngine, mul, sum } from "@polyhead/tensor";
import { scoreHookLaws } from "@polyhead/testkit";
import { afterAll, describe, it } from "vitest";
import { fire, kerple, relativeBias, t5 } from "../src/index.ts";
import { dims } from "./dims.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const layers: Readonly<Record<string, readonly [PositionLayer, Mask]>> = {
  "t5, one way": [t5.create({ buckets: 8, maxDistance: 12 }, dims), causal()],
  "t5, both ways": [t5.create({ buckets: 8, maxDistance: 12, bidirectional: true }, dims), full()],
  "a clamped table": [relativeBias.create({ maxDistance: 5 }, dims), full()],
  "kerple, log": [kerple.create({}, dims), causal()],
  "kerple, power": [kerple.create({ form: "power" }, dims), full()],
  fire: [fire.create({ width: 3, threshold: 6 }, dims), causal()],
};

/** c and the factor of L where a start would not do: L is no whole number, which a position could tie with. */
const NUMBERS: Readonly<Record<string, readonly number[]>> = { c: [0.3], L: [1.1] };

for (const [name, [{ hooks }, mask]] of Object.entries(layers)) {
  describe(name, () => {
    const laws = scoreHookLaws({
      hooks: hooks as readonly ScoreHook[], heads: dims.heads, mask, kernels: [flash, reference], engine, ops: { add, cast, mul, sum },
      bias: ({ q, k, score, qOffset, kvOffset, mask }) => biasOfHooks(engine, score, { shape: [...q.shape.slice(0, 3), k.shape[2]!], qOffset, kvOffset, mask }),
      numbers: (table) => NUMBERS[table.name],
    });
    for (const law of laws) it(law.name, law.check);
  });
}
