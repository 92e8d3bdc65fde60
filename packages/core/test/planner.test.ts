import { describe, expect, it } from "vitest";
import { plan, scoreHook, scoreMod } from "../src/index.ts";
import { alibiHook, caps, kernel, problem, qkNormHook, ropeHook, softcapHook } from "./fixtures.ts";

const rope = ropeHook(8);
const late = scoreHook({ id: "late", program: scoreMod`score - f32(q)` });

describe("the order of hooks is law", () => {
  it("an inlining kernel inlines what has a program", () => {
    const { how } = plan(problem({ qk: [rope], score: [alibiHook, softcapHook] }), [kernel("flex")], caps);
    expect(how).toEqual({ rope: "inline", alibi: "inline", softcap: "inline" });
  });

  it("nothing stays inline before a qk hook that is a prepass", () => {
    expect(plan(problem({ qk: [rope, qkNormHook] }), [kernel("flex")], caps).how).toEqual({ rope: "prepass", "qk-norm": "prepass" });
    expect(plan(problem({ qk: [qkNormHook, rope] }), [kernel("flex")], caps).how).toEqual({ "qk-norm": "prepass", rope: "inline" });
  });

  it("a bias tensor is refused to hooks that are not additive, or that follow one that is not", () => {
    const tensors = kernel("tensors", { lower: () => "tensor" });
    const all = [tensors, kernel("reference", { preference: 9 })];
    expect(plan(problem({ score: [alibiHook, late] }), all, caps).how).toEqual({ alibi: "tensor", late: "tensor" });
    expect(plan(problem({ score: [softcapHook] }), all, caps).refused).toEqual([{ kernel: "tensors", why: ["score hook 'softcap' is not additive, so it cannot become a bias tensor"] }]);
    const halves = kernel("halves", { lower: (hook) => (hook.id === "softcap" ? "inline" : "tensor") });
    expect(plan(problem({ score: [softcapHook, late] }), [halves, kernel("reference", { preference: 9 })], caps).refused).toEqual([
      { kernel: "halves", why: ["score hook 'late' follows 'softcap', which is not additive, so it cannot become a bias tensor"] },
    ]);
    expect(plan(problem({ score: [late, softcapHook] }), [halves], caps).how).toEqual({ late: "tensor", softcap: "inline" });
  });
});

describe("the choice", () => {
  it("goes to the fastest when all candidates were measured", () => {
    const kernels = [kernel("a", { preference: 1, cost: () => 2 }), kernel("b", { preference: 2, cost: () => 0.5 })];
    const chosen = plan(problem(), kernels, caps);
    expect([chosen.kernel.name, chosen.ms, chosen.others]).toEqual(["b", 0.5, [{ kernel: "a", ms: 2 }]]);
  });

  it("goes by preference as long as one candidate was not measured", () => {
    const kernels = [kernel("b", { preference: 2, cost: () => 0.5 }), kernel("a", { preference: 1, cost: () => undefined })];
    expect(plan(problem(), kernels, caps).kernel.name).toBe("a");
  });

  it("shows a kernel the problem as lowered, and the device", () => {
    const seen: unknown[] = [];
    const curious = kernel("curious", { unsupported: ({ how }, { storageBuffers }) => (seen.push(how, storageBuffers), []) });
    plan(problem({ qk: [rope] }), [curious], caps);
    expect(seen).toEqual([{ rope: "inline" }, 8]);
  });

  it("is explained: the kernel and why, each hook, and every kernel turned down with its reasons", () => {
    const flash = kernel("flash", { unsupported: () => ["head size 8 is not a multiple of 16", "no gradient for learned score hooks"] });
    const all = [flash, kernel("flex", { preference: 2 }), kernel("reference", { preference: 9, cost: () => 3 })];
    expect(plan(problem({ qk: [rope], score: [alibiHook], backward: true, headDimV: 4 }), all, caps).explain()).toBe(
      [
        "kernel 'flex': first by preference, since not all candidates were measured on this adapter",
        "  problem: 4 heads, 2 key heads, head size 8/4, f32, mask causal, with gradients",
        "  hook 'rope' at 'qk': inline",
        "  hook 'alibi' at 'score': inline",
        "  not 'reference': it can, in 3.00 ms",
        "  not 'flash': head size 8 is not a multiple of 16; no gradient for learned score hooks",
      ].join("\n"),
    );
    expect(plan(problem(), [kernel("a", { cost: () => 1 }), kernel("b", { cost: () => 2 })], caps).explain()).toContain("kernel 'a': measured 1.00 ms on this adapter, the fastest");
    expect(plan(problem(), [kernel("a"), flash], caps).explain()).toContain("kernel 'a': the only kernel that can");
  });

  it("asks a kernel that takes no pages about rows, and says which it is", () => {
    const dense = kernel("dense", { unsupported: ({ cache }) => (cache === "paged" ? ["no pages"] : []) });
    expect(plan(problem({ cache: "paged" }), [dense], caps).explain()).toContain("cache: pages, gathered into rows at every step, since the kernel takes none");
    expect(plan(problem({ cache: "paged" }), [kernel("pages", { paged: true })], caps).explain()).toContain("cache: pages, which the kernel reads where they lie");
    expect(plan(problem({ cache: "paged" }), [{ ...dense, paged: true }, kernel("b", { preference: 9 })], caps).refused).toEqual([{ kernel: "dense", why: ["no pages"] }]);
  });

  it("fails with every reason when nobody can", () => {
    const no = kernel("no", { unsupported: () => ["this", "that"] });
    expect(() => plan(problem(), [no], caps)).toThrow("[PLAN_NO_KERNEL] no kernel can compute this:\n  no: this; that\n  fix: give createLab a kernel that accepts everything, such as the reference kernel");
    expect(() => plan(problem(), [], caps)).toThrow("[PLAN_NO_KERNEL] no kernel was given; expected at least one");
  });

  it("refuses an ill-formed problem", () => {
    expect(() => plan(problem({ heads: 4, kvHeads: 3 }), [kernel("a")], caps)).toThrow("[PLAN_HEADS] 4 query heads cannot share 3 key heads");
    expect(() => plan(problem({ qk: [rope, rope] }), [kernel("a")], caps)).toThrow("[PLAN_HOOK_ID] two hooks are called 'rope'; expected unique ids");
  });
});
