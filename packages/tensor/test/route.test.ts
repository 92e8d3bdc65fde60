import { openNodeGpu } from "@polyhead/gpu-node";
import { checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, routeExperts, type RouteOptions } from "../src/index.ts";
import { routeLaw, type RouteLaw } from "./reference/experts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const rowsOf = (data: ArrayLike<number>, length: number): number[][] => Array.from({ length: data.length / length }, (_, r) => Array.from({ length }, (_, i) => data[r * length + i]!));

/** Experts and weights of rows of logits. */
async function routed(logits: readonly (readonly number[])[], options: RouteOptions): Promise<{ readonly experts: number[][]; readonly weights: number[][] }> {
  const { experts, weights } = routeExperts(engine.tensor(logits.flat(), [logits.length, logits[0]!.length]), options);
  return { experts: rowsOf(await experts.read(), options.active), weights: rowsOf(await weights.read(), options.active) };
}

describe("routeExperts", () => {
  it.each<[string, number, number, RouteLaw]>([
    ["one expert of several", 5, 6, { active: 1 }],
    ["all of them, normalized", 3, 4, { active: 4, normalize: true }],
    ["the only one there is", 2, 1, { active: 1, scoring: "sigmoid" }],
    ["DeepSeek-V2: the best groups by their best expert", 9, 12, { active: 3, groups: 4, activeGroups: 2, scale: 16 }],
    ["DeepSeek-V3: groups by their two best, corrected", 9, 12, { active: 3, scoring: "sigmoid", groups: 4, activeGroups: 2, groupScore: "top2", normalize: true, scale: 2.5, correction: uniform(12, 3) }],
    ["more experts than lanes", 2, 130, { active: 8, groups: 5, activeGroups: 3, groupScore: "top2", normalize: true, correction: uniform(130, 4).map((v) => v / 100) }],
  ])("has the weights and gradients of its formula: %s", async (_, tokens, experts, law) => {
    const { correction: moved, ...options } = law;
    const correction = moved && engine.tensor(moved, [experts]);
    await checkGradients(
      {
        inputs: { logits: { shape: [tokens, experts], data: uniform(tokens * experts, 1).map((v) => 2 * v) } },
        reference: ({ logits }) => rowsOf(logits!, experts).flatMap((row) => routeLaw(row, law).weights),
        run: onEngine(engine, ({ logits }) => routeExperts(logits!, { ...options, ...(correction && { correction }) }).weights),
      },
      { entries: 40 },
    );
  });

  it("chooses as the formula does, row by row, best first", async () => {
    const [tokens, experts] = [300, 24];
    const logits = rowsOf(uniform(tokens * experts, 5).map((v) => 3 * v), experts);
    const correction = uniform(experts, 6).map((v) => v / 4);
    const law: RouteLaw = { active: 4, scoring: "sigmoid", groups: 6, activeGroups: 2, groupScore: "top2", correction };
    const { experts: chosen } = await routed(logits, { ...law, correction: engine.tensor(correction) });
    expect(chosen).toEqual(logits.map((row) => routeLaw(row, law).experts));
    expect(chosen).not.toEqual(logits.map((row) => routeLaw(row, { ...law, groups: 1 }).experts));
  });

  it("prefers the lower index among equals, of experts and of groups", async () => {
    const { experts } = await routed([[1, 2, 1, 2, 1, 2], [0, 0, 0, 0, 0, 0]], { active: 3 });
    expect(experts).toEqual([[1, 3, 5], [0, 1, 2]]);
    expect((await routed([[0, 5, 5, 0, 5, 5]], { active: 2, groups: 3, activeGroups: 1 })).experts).toEqual([[1, 0]]);
    expect((await routed([[0, 5, 5, 0, 5, 5]], { active: 2, groups: 3, activeGroups: 1, groupScore: "top2" })).experts).toEqual([[4, 5]]);
  });

  it("keeps to the best groups where corrected scores are below 0, too", async () => {
    const { experts } = await routed([[1, 2, 5, -5]], { active: 2, scoring: "sigmoid", groups: 2, activeGroups: 1, groupScore: "top2", correction: engine.full([4], -2) });
    expect(experts).toEqual([[1, 0]]);
  });

  it("corrects the choice, not the weights", async () => {
    const logits = [[0.5, 0, -0.5, 1]];
    const plain = await routed(logits, { active: 4, scoring: "sigmoid" });
    const { experts, weights } = await routed(logits, { active: 2, scoring: "sigmoid", correction: engine.tensor([0, 0, 10, -10]) });
    expect(experts).toEqual([[2, 0]]);
    expect(weights).toEqual([[plain.weights[0]![plain.experts[0]!.indexOf(2)], plain.weights[0]![plain.experts[0]!.indexOf(0)]]]);
  });

  it("names experts that exist, also where logits are NaN or infinite", async () => {
    const { experts } = await routed([[NaN, 1, NaN, 0], [NaN, NaN, NaN, NaN], [Infinity, -Infinity, 0, 1]], { active: 3, scoring: "sigmoid" });
    expect(experts).toEqual([[1, 3, 0], [0, 1, 2], [0, 3, 2]]);
    const closed = await routed([[-9, NaN, 5, 5]], { active: 2, scoring: "sigmoid", groups: 2, activeGroups: 1, correction: engine.tensor([9, 0, 0, 0]) });
    expect(closed.experts).toEqual([[0, 1]]);
  });

  it("says which counts do not fit", () => {
    const logits = engine.zeros([2, 6]);
    const attempt = (options: Partial<RouteOptions>) => (): unknown => routeExperts(logits, { active: 2, ...options });
    expect(attempt({ active: 7 })).toThrow(/TENSOR_VALUE.*7 active experts of 6[^]*1 to 6/);
    expect(attempt({ groups: 4 })).toThrow(/TENSOR_VALUE.*6 experts in 4 groups[^]*divides/);
    expect(attempt({ groups: 3, activeGroups: 4 })).toThrow(/TENSOR_VALUE.*4 active groups of 3/);
    expect(attempt({ active: 3, groups: 3, activeGroups: 1 })).toThrow(/TENSOR_VALUE.*3 active experts from 1 groups of 2[^]*at most 2/);
    expect(attempt({ groups: 6, activeGroups: 4, groupScore: "top2" })).toThrow(/TENSOR_VALUE.*groups of 1 expert/);
    expect(attempt({ correction: engine.zeros([5]) })).toThrow(/TENSOR_SHAPE.*correction of shape \[5\]/);
    expect(() => routeExperts(engine.zeros([2, 1025]), { active: 1 })).toThrow(/TENSOR_SHAPE.*\[2, 1025\][^]*1024/);
  });
});
