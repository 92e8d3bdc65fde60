import { defineKernel, flatGrid, wgsl, type BufferSlice, type Gpu } from "@polyhead/gpu";
import { keyValueBytes, type AttentionProblem } from "../cases/attention-problem.ts";
import { matmulProblem, referenceRow } from "../cases/matmul-problem.ts";
import type { Contender, Runner } from "../contender.ts";
import { ourGpu } from "./gpu.ts";
import { tunedMatmul } from "./matmul.ts";

const SIZE = 1024;
const CHECKED = [0, 1, 31, 511, 512, 1000, 1023];

/** Our fastest square product, whatever the case: what a kernel of products alone reaches on this adapter. */
export const matmulYardstick: Contender<AttentionProblem> = {
  name: `polyhead matmul ${String(SIZE)}`,
  role: "yardstick",
  async setup() {
    const problem = matmulProblem(SIZE, 2);
    const want = CHECKED.map((row) => ({ row, values: referenceRow(problem, row) }));
    const scale = want.reduce((most, { values }) => values.reduce((top, value) => Math.max(top, Math.abs(value)), most), 0);
    const error = (output: Float32Array): number =>
      want.reduce((worst, { row, values }) => values.reduce((most, value, i) => Math.max(most, Math.abs((output[row * SIZE + i] ?? NaN) - value) / scale), worst), 0);
    return { ...(await tunedMatmul(problem)), yardstick: { flops: 2 * SIZE ** 3, bytes: 0, perRun: problem.products, error } };
  },
};

const LANES = 64;
/** Groups of 16 bytes that an invocation copies: on a software GPU a workgroup that does little costs more than its bytes. */
const EACH = 16;

const copyKernel = defineKernel({
  name: "copy",
  bindings: { source: "read array<vec4f>", into: "write array<vec4f>" },
  params: { count: "u32" },
  code: wgsl`
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.x + group.y * groups.x) * ${LANES * EACH}u + lane;
  let end = min(first + ${LANES * EACH}u, params.count);
  for (var i = first; i < end; i += ${LANES}u) { into[i] = source[i]; }
}`,
});

/** Copies k over v, which moves as many bytes as a decode step reads, over the same memory. */
type Copy = (gpu: Gpu, source: BufferSlice, into: BufferSlice) => void;

export const copyYardsticks: readonly Contender<AttentionProblem>[] = [
  copying("copy by command", (gpu, source, into) => { gpu.copy(source, into, source.size); }),
  copying("copy by kernel", (gpu, source, into) => {
    const count = source.size / 16;
    gpu.dispatch(copyKernel, { source, into }, { count }, flatGrid(count, LANES * EACH));
  }),
];

function copying(name: string, copy: Copy): Contender<AttentionProblem> {
  return {
    name,
    role: "yardstick",
    async setup(problem): Promise<Runner> {
      const gpu = await ourGpu();
      const { k, v, calls } = problem;
      const [source, into] = [k, v].map((data) => {
        const slice = { buffer: gpu.take(data.byteLength), offset: 0, size: data.byteLength };
        gpu.write(slice, data);
        return slice;
      }) as [BufferSlice, BufferSlice];
      // A decode step's own result is as small.
      const sample = { ...into, offset: into.size - 4 * problem.q.length, size: 4 * problem.q.length };
      const want = k.subarray(k.length - problem.q.length);
      return {
        async run() {
          for (let call = 0; call < calls; call++) {
            copy(gpu, source, into);
            gpu.flush();
          }
          return gpu.read(sample, Float32Array);
        },
        yardstick: {
          flops: 0,
          bytes: keyValueBytes(problem),
          perRun: calls,
          error: (output) => (output.length === want.length && output.every((value, i) => value === want[i]) ? 0 : NaN),
        },
        close() {
          gpu.give(source.buffer);
          gpu.give(into.buffer);
        },
      };
    },
  };
}
