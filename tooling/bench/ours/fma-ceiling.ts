import { kernelFamily, defineKernel, wgsl, type Gpu } from "@polyhead/gpu";

const WORKGROUP = 64;
const WORKGROUPS = 2048;
const OPERATIONS_PER_INVOCATION = 2 ** 15;

/** `chains` independent multiply-adds, `unroll` times in the loop's body: enough of them hides the latency of one. */
interface Shape {
  readonly chains: number;
  readonly unroll: number;
}

const shapes: readonly Shape[] = [
  { chains: 8, unroll: 4 },
  { chains: 8, unroll: 16 },
  { chains: 16, unroll: 16 },
];

/** Every invocation runs `steps` rounds on registers alone and stores one number, lest the work be optimised away. */
const fmaKernel = kernelFamily(({ chains, unroll }: Shape) => {
  const chain = Array.from({ length: chains }, (_, i) => `a${String(i)}`);
  const round = chain.map((a) => `${a} = fma(${a}, factor, addend);`).join(" ");
  return defineKernel({
    name: `fma ceiling ${String(chains)}×${String(unroll)}`,
    bindings: { out: "write array<f32>" },
    params: { steps: "u32" },
    code: wgsl`
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let addend = f32(id.x) * 1e-6;
  let factor = 0.999 + addend * 1e-3;
  ${chain.map((a, i) => `var ${a} = addend + ${String(i)}.0;`).join("\n  ")}
  for (var step = 0u; step < params.steps; step++) {
    ${Array.from({ length: unroll }, () => round).join("\n    ")}
  }
  out[id.x] = ${chain.join(" + ")};
}`,
  });
});

/**
 * The most multiply-adds that this adapter gives from registers, in GFLOP/s (a multiply-add counts as two): the best
 * of `reps` runs of every shape. No kernel that also loads and stores can pass it.
 */
export async function fmaCeiling(gpu: Gpu, reps = 3): Promise<number> {
  const buffer = gpu.take(WORKGROUP * WORKGROUPS * 4);
  const out = { buffer, offset: 0, size: WORKGROUP * WORKGROUPS * 4 };
  const flops = 2 * OPERATIONS_PER_INVOCATION * WORKGROUP * WORKGROUPS;
  let best = 0;
  for (const shape of shapes) {
    const steps = OPERATIONS_PER_INVOCATION / (shape.chains * shape.unroll);
    for (let rep = 0; rep <= reps; rep++) {
      const start = performance.now();
      gpu.dispatch(fmaKernel(shape), { out }, { steps }, [WORKGROUPS]);
      await gpu.settled();
      // The first run compiles.
      if (rep > 0) best = Math.max(best, flops / (performance.now() - start) / 1e6);
    }
  }
  gpu.give(buffer);
  return best;
}
