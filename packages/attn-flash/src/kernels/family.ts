import type { Kernel } from "@polyhead/gpu";
import { formKey, templateName, type FlashForm, type FusedTemplate } from "../spec.ts";
import type { Emit } from "./backward-frame.ts";
import { kernelCache } from "./kernel-cache.ts";
import { valueNorms } from "./learn-scale.ts";
import { rowDkv, rowDq } from "./row-backward.ts";
import { rowForward } from "./row-forward.ts";
import { subgroupDkv, subgroupDq } from "./subgroup-backward.ts";
import { subgroupForward } from "./subgroup-forward.ts";
import { tileDkv, tileDq } from "./tile-backward.ts";
import { tileForward } from "./tile-forward.ts";

/** Forms of equal structure share a kernel, and so a pipeline. */
function once(pass: string, form: FlashForm, template: FusedTemplate | undefined, build: () => Kernel): Kernel {
  return kernelCache.get(`${pass}#${template === undefined ? "" : templateName(template)}#${formKey(form)}`, build);
}

/** o and lse; with `split`, normalised parts and their log2-sum-exp, for `combine`. */
export function forwardKernel(form: FlashForm, template: FusedTemplate, split: boolean): Kernel {
  return once(split ? "split" : "forward", form, template, () => {
    switch (template.kind) {
      case "subgroup":
        return subgroupForward(form, template, { split });
      case "row":
        return rowForward(form, template, { split });
      case "tile":
        return tileForward(form, template, { split });
    }
  });
}

/** dq, or another {@link Emit}. */
export function dqKernel(form: FlashForm, template: FusedTemplate, emit: Emit): Kernel {
  return once(emit, form, template, () => {
    switch (template.kind) {
      case "subgroup":
        return subgroupDq(form, template, emit);
      case "row":
        return rowDq(form, template, emit);
      case "tile":
        return tileDq(form, template, emit);
    }
  });
}

/** dk and dv. */
export function dkvKernel(form: FlashForm, template: FusedTemplate): Kernel {
  return once("dkv", form, template, () => {
    switch (template.kind) {
      case "subgroup":
        return subgroupDkv(form, template);
      case "row":
        return rowDkv(form, template);
      case "tile":
        return tileDkv(form, template);
    }
  });
}

/** The lengths of values, for the scale of what hooks learn. */
export const valueNormsKernel = (form: FlashForm): Kernel => once("values", form, undefined, () => valueNorms(form));
