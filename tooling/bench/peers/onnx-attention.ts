import type { InferenceSession, Tensor } from "onnxruntime-common";
import { headsFirst, rowsFirst, type AttentionProblem, type AttentionShape } from "../cases/attention-problem.ts";
import type { Contender, Role } from "../contender.ts";
import { MICROSOFT, onnxModel, type OnnxGraph, type OnnxValue } from "./onnx-model.ts";
import { loadOrtNode, loadOrtWeb, ortDevice, type OrtModule } from "./onnxruntime.ts";

/** `GroupQueryAttention` is always causal and takes a cache; `MultiHeadAttention` is here without a mask; `Attention` is ONNX's own. */
export type OnnxOp = "GroupQueryAttention" | "MultiHeadAttention" | "Attention";

/** The operators that can do a case. */
export function onnxOps({ kind, causal }: AttentionShape): readonly OnnxOp[] {
  if (kind === "backward") return [];
  if (kind === "decode") return ["GroupQueryAttention"];
  return causal ? ["GroupQueryAttention", "Attention"] : ["MultiHeadAttention", "Attention"];
}

/** Where a session runs, and how arrays get there. */
interface Place {
  readonly ort: OrtModule;
  readonly options: InferenceSession.SessionOptions;
  readonly upload: (data: Float32Array, dims: readonly number[]) => Tensor;
  close(): void;
}

export const ortCpu = (op: OnnxOp): Contender<AttentionProblem> => contender(`onnxruntime-node CPU ${op}`, "native", op, onCpu);

export const ortWebgpu = (op: OnnxOp, subgroups: boolean): Contender<AttentionProblem> =>
  contender(`onnxruntime-web ${op}${subgroups ? "" : ", no subgroups"}`, "peer", op, () => onGpu(subgroups));

async function onCpu(): Promise<Place> {
  const ort = await loadOrtNode();
  return {
    ort,
    options: { executionProviders: ["cpu"], intraOpNumThreads: 2, logSeverityLevel: 3 },
    upload: (data, dims) => new ort.Tensor("float32", data, dims),
    close: () => undefined,
  };
}

/** Inputs and outputs stay on the device, so that nothing is copied but the result that is checked. */
async function onGpu(subgroups: boolean): Promise<Place> {
  const device = await ortDevice(subgroups);
  const ort = await loadOrtWeb();
  const buffers: GPUBuffer[] = [];
  return {
    ort,
    options: { executionProviders: [{ name: "webgpu", device }], preferredOutputLocation: "gpu-buffer", logSeverityLevel: 3 },
    upload(data, dims) {
      // onnxruntime binds whole groups of 16 bytes.
      const buffer = device.createBuffer({ size: Math.max(16, Math.ceil(data.byteLength / 16) * 16), usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
      device.queue.writeBuffer(buffer, 0, data.buffer, data.byteOffset, data.byteLength);
      buffers.push(buffer);
      return ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims: [...dims] });
    },
    close() {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

function contender(name: string, role: Role, op: OnnxOp, open: () => Promise<Place>): Contender<AttentionProblem> {
  return {
    name,
    role,
    async setup(problem) {
      const place = await open();
      const session = await place.ort.InferenceSession.create(onnxModel(graphOf(op, problem)), place.options);
      const { feeds, fetches } = feedsOf(op, problem, place);
      const once = async (): Promise<Tensor> => (await session.run(feeds, fetches))["o"]!;
      return {
        async run() {
          for (let call = 1; call < problem.calls; call++) (await once()).dispose();
          const last = await once();
          const data = (await last.getData()) as Float32Array;
          last.dispose();
          return data;
        },
        arrange: ([o]) => headsFirst(o ?? new Float32Array(0), problem.heads, problem.headDim),
        close() {
          place.close();
          void session.release();
        },
      };
    },
  };
}

/** q, k and v are `[1, rows, heads · d]`; a cache is `[1, kvHeads, rows, d]`. */
function graphOf(op: OnnxOp, { kind, causal, heads, kvHeads, headDim: d, queries, keys }: AttentionProblem): OnnxGraph {
  const fresh = kind === "decode" ? 1 : keys;
  const value = (name: string, ...dims: (number | string)[]): OnnxValue => ({ name, type: "f32", dims });
  const inputs = [value("q", 1, queries, heads * d), value("k", 1, fresh, kvHeads * d), value("v", 1, fresh, kvHeads * d)];
  const outputs = [value("o", 1, queries, heads * d)];
  const names = ["q", "k", "v"];
  switch (op) {
    case "Attention":
      return { opset: 23, inputs, outputs, nodes: [{ op, inputs: names, outputs: ["o"], attributes: { q_num_heads: heads, kv_num_heads: kvHeads, is_causal: Number(causal) } }] };
    case "MultiHeadAttention":
      return { opset: 21, inputs, outputs, nodes: [{ op, domain: MICROSOFT, inputs: names, outputs: ["o"], attributes: { num_heads: heads } }] };
    case "GroupQueryAttention": {
      const cache = ["pastK", "pastV"].map((name) => value(name, 1, kvHeads, "past", d));
      const grown = ["nextK", "nextV"].map((name) => value(name, 1, kvHeads, "total", d));
      const lengths: OnnxValue[] = [{ name: "lastKey", type: "i32", dims: [1] }, { name: "keys", type: "i32", dims: [] }];
      return {
        opset: 21,
        inputs: [...inputs, ...cache, ...lengths],
        outputs: [...outputs, ...grown],
        nodes: [{ op, domain: MICROSOFT, inputs: [...names, "pastK", "pastV", "lastKey", "keys"], outputs: ["o", "nextK", "nextV"], attributes: { num_heads: heads, kv_num_heads: kvHeads } }],
      };
    }
  }
}

interface Feeds {
  readonly feeds: Record<string, Tensor>;
  readonly fetches: Record<string, Tensor | null>;
}

function feedsOf(op: OnnxOp, { kind, heads, kvHeads, headDim: d, queries, keys, q, k, v }: AttentionProblem, { ort, upload }: Place): Feeds {
  const fed = (x: Float32Array, count: number, rows: number): Tensor => upload(rowsFirst(x, count, d), [1, rows, count * d]);
  if (op !== "GroupQueryAttention") return { feeds: { q: fed(q, heads, queries), k: fed(k, kvHeads, keys), v: fed(v, kvHeads, keys) }, fetches: { o: null } };
  const lengths = { lastKey: new ort.Tensor("int32", Int32Array.of(keys - 1), [1]), keys: new ort.Tensor("int32", Int32Array.of(keys), []) };
  if (kind !== "decode") {
    const none = (): Tensor => new ort.Tensor("float32", new Float32Array(0), [1, kvHeads, 0, d]);
    return { feeds: { q: fed(q, heads, queries), k: fed(k, kvHeads, keys), v: fed(v, kvHeads, keys), pastK: none(), pastV: none(), ...lengths }, fetches: { o: null } };
  }
  // The cache is written in place, as a decode loop would have it: its last row is the step's own, the same in every repetition.
  const newest = (x: Float32Array): Float32Array => rowsFirst(x, kvHeads, d).subarray((keys - 1) * kvHeads * d);
  const [pastK, pastV] = [upload(k.slice(), [1, kvHeads, keys, d]), upload(v.slice(), [1, kvHeads, keys, d])];
  const step = (x: Float32Array): Tensor => upload(newest(x), [1, 1, kvHeads * d]);
  return { feeds: { q: fed(q, heads, 1), k: step(k), v: step(v), pastK, pastV, ...lengths }, fetches: { o: null, nextK: pastK, nextV: pastV } };
}
