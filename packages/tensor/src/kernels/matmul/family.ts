import { defineKernel, kernelFamily, type BindingSpec, type Feature, type Kernel, type ParamType } from "@polyhead/gpu";
import { extraBindings, type Extra } from "./epilogue.ts";
import { templateName, type MatmulSpec, type MatmulTemplate } from "./spec.ts";
import { registerTile, subgroupTile, workgroupTile } from "./tiles.ts";
import { vectorTile } from "./vector.ts";

/**
 * Scalars of a dispatch, in elements. `ld`: distance of two rows. `At`: where a tensor starts. `a0 a1 a2`: strides of up to
 * three batch axes, of lengths n0 (the grid knows it), n1, n2. `folds`, `aFold`, `bFold`: the batch axis that is summed.
 */
type Scalar =
  | "m" | "n" | "k" | "lda" | "ldb" | "ldc" | "aAt" | "bAt" | "cAt"
  | "n1" | "n2" | "a0" | "a1" | "a2" | "b0" | "b1" | "b2" | "c0" | "c1" | "c2"
  | "folds" | "aFold" | "bFold" | "alpha";

const PARAMS: Record<Scalar, ParamType> = {
  m: "u32", n: "u32", k: "u32", lda: "u32", ldb: "u32", ldc: "u32", aAt: "u32", bAt: "u32", cAt: "u32",
  n1: "u32", n2: "u32", a0: "u32", a1: "u32", a2: "u32", b0: "u32", b1: "u32", b2: "u32", c0: "u32", c1: "u32", c2: "u32",
  folds: "u32", aFold: "u32", bFold: "u32", alpha: "f32",
};

export type MatmulParams = Record<Scalar, number>;
export type MatmulKernel = Kernel<"a" | "b" | "c" | Extra, Scalar>;

/** The code of a kernel, after its bindings and scalars. */
export function codeOf(spec: MatmulSpec): string {
  switch (spec.template.kind) {
    case "subgroup":
      return subgroupTile(spec, spec.template);
    case "register":
      return registerTile(spec, spec.template);
    case "workgroup":
      return workgroupTile(spec, spec.template);
    case "vector":
      return vectorTile(spec, spec.template);
  }
}

/** A, B and C. */
export function operandBindings({ vecA, vecB, vecC, half }: MatmulSpec): Record<"a" | "b" | "c", BindingSpec> {
  return {
    a: vecA ? "read array<vec4f>" : "read array<f32>",
    b: half ? (vecB ? "read array<vec2u>" : "read array<u32>") : vecB ? "read array<vec4f>" : "read array<f32>",
    c: vecC ? "write array<vec4f>" : "write array<f32>",
  };
}

export const featuresOf = (template: MatmulTemplate): readonly Feature[] =>
  template.kind === "subgroup" || (template.kind === "vector" && template.meet === "subgroup") ? ["subgroups"] : [];

/** C = epilogue(alpha · op(A) · op(B)), batched. */
export const matmulKernel: (spec: MatmulSpec) => MatmulKernel = kernelFamily((spec: MatmulSpec): MatmulKernel => {
  const { template, transA, transB, half, epilogue } = spec;
  const traits = [`${transA ? "t" : "n"}${transB ? "t" : "n"}`, ...(half ? ["f16"] : []), ...Object.keys(epilogue).filter((key) => epilogue[key as keyof typeof epilogue] !== false)];
  return defineKernel<string, Scalar>({
    name: `matmul ${traits.join("+")} ${templateName(template)}`,
    bindings: { ...operandBindings(spec), ...extraBindings(spec) },
    params: PARAMS,
    enable: featuresOf(template),
    code: codeOf(spec),
  }) as MatmulKernel;
});
