import { defineKernel, flatGrid, wgsl, type Gpu, type Workgroups } from "@polyhead/gpu";
import { createEngine, type Tensor } from "@polyhead/tensor";
import type { DecodeRun } from "../cases/decode.ts";
import { weightBytes } from "../cases/decode-problem.ts";
import type { Contender } from "../contender.ts";
import { ourGpu } from "./gpu.ts";

const LANES = 64;
/** Groups of 16 bytes that an invocation reads: on a software GPU a workgroup that does little costs more than its bytes. */
const EACH = 64;
/** Numbers of a part: 64 MiB, which every device binds and no cache holds. */
const PART = 2 ** 24;
const NUMBER = 0.5;

const readKernel = defineKernel({
  name: "read",
  bindings: { source: "read array<vec4f>", sums: "write array<f32>" },
  params: { count: "u32" },
  code: wgsl`
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = group.x + group.y * groups.x;
  let first = block * ${LANES * EACH}u + lane;
  let end = min(first + ${LANES * EACH}u, params.count);
  var sum = vec4f(0.0);
  for (var i = first; i < end; i += ${LANES}u) { sum += source[i]; }
  if (first < params.count) { sums[block * ${LANES}u + lane] = dot(sum, vec4f(1.0)); }
}`,
});

/** Moves `bytes` in all, in parts of which each is read, or read and written elsewhere. */
function yardstick(name: string, share: number, pass: (gpu: Gpu, source: Tensor, into: Tensor) => void, want: number): Contender<DecodeRun> {
  return {
    name,
    role: "yardstick",
    async setup({ decoder }) {
      const gpu = await ourGpu();
      const engine = createEngine(gpu);
      const bytes = weightBytes(decoder.shape, 4);
      const parts = Math.ceil(bytes / share / 4 / PART);
      const size = Math.floor(bytes / share / 4 / parts / 256) * 256;
      const made = (value: number): Tensor => engine.keep(engine.full([size], value));
      const sources = Array.from({ length: parts }, () => made(NUMBER));
      const into = made(0);
      return {
        async run() {
          for (const source of sources) pass(gpu, source, into);
          return gpu.read({ ...into.slice(), size: 64 }, Float32Array);
        },
        yardstick: { flops: 0, bytes: parts * size * 4 * share, perRun: 1, error: (output) => (output.every((value) => value === want) ? 0 : NaN) },
        close() {
          for (const tensor of [...sources, into]) tensor.dispose();
          gpu.trim();
        },
      };
    },
  };
}

const dispatched = (source: Tensor): readonly [{ readonly count: number }, Workgroups] => [{ count: source.size / 4 }, flatGrid(source.size / 4, LANES * EACH)];

/** What a step's weights would take if nothing were done with them: read once by a kernel, or half of them copied by a command, which moves as many bytes. */
export const weightYardsticks: readonly Contender<DecodeRun>[] = [
  yardstick("ceiling: reading as many bytes", 1, (gpu, source, sums) => { gpu.dispatch(readKernel, { source: source.slice(), sums: sums.slice() }, ...dispatched(source)); }, 4 * EACH * NUMBER),
  yardstick("ceiling: copying half of them", 2, (gpu, source, into) => { gpu.copy(source.slice(), into.slice(), 4 * source.size); }, NUMBER),
];
