import { defineKernel, flatGrid, flatIndex, wgsl } from "@polyhead/gpu";
import { contiguous } from "../views.ts";
import type { Tensor } from "../tensor.ts";

const addInPlace = defineKernel({
  name: "accumulate",
  bindings: { sum: "write array<vec4f>", term: "read array<vec4f>" },
  params: { groups4: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i < params.groups4) { sum[i] += term[i]; }
}`,
});

/**
 * `sum + term`, in place where nobody else holds `sum`'s memory. Takes over the handle `sum`, and returns the one that replaces it.
 */
export function accumulate(sum: Tensor, term: Tensor): Tensor {
  const { engine } = sum;
  const own = sum.isContiguous && sum.offset === 0 && sum.storage.references === 1;
  const target = own ? sum : copy(sum);
  if (!own) sum.dispose();
  engine.scope(() => {
    const groups4 = Math.ceil(target.size / 4);
    engine.gpu.dispatch(addInPlace, { sum: target.slice(), term: contiguous(term).slice() }, { groups4 }, flatGrid(groups4, 64));
  });
  return target;
}

function copy(source: Tensor): Tensor {
  const { engine } = source;
  const target = engine.keep(engine.empty(source.shape, source.dtype));
  engine.assign(target, source);
  return target;
}
