import type { InferenceSession, Tensor } from "onnxruntime-common";
import type { DecodeProblem, DecoderShape } from "../cases/decode-problem.ts";
import { MICROSOFT, onnxModel, type OnnxConstant, type OnnxNode, type OnnxValue } from "./onnx-model.ts";
import { loadOrtNode, type OrtModule } from "./onnxruntime.ts";

/**
 * A decode step of GPT-2, and a prompt's pass, in one graph. In: `ids` and `positions` [1, rows], for every layer `pastK.N` and `pastV.N`
 * [1, heads, room, d]. Out: `logits` [1, rows, V], the likeliest ids `next` [1, rows], and the caches with the new rows.
 *
 * `GroupQueryAttention` takes q, k and v as the projection leaves them and writes the cache where it lies; `FastGelu` is the tanh form.
 */
export function gptGraph({ shape, weights }: DecodeProblem): Uint8Array<ArrayBuffer> {
  const { layers, width, heads, vocab } = shape;
  const headDim = width / heads;
  const nodes: OnnxNode[] = [];
  const constants: OnnxConstant[] = Object.entries(weights).map(([name, { shape: dims, data }]) => ({ name, type: "f32", dims, data }));
  const value = (name: string, type: OnnxValue["type"], ...dims: (number | string)[]): OnnxValue => ({ name, type, dims });
  const cache = (name: string): OnnxValue => value(name, "f32", 1, heads, "room", headDim);
  const inputs = [value("ids", "i64", 1, "rows"), value("positions", "i64", 1, "rows"), value("lastKey", "i32", 1), value("keys", "i32")];
  const outputs = [value("next", "i64", 1, "rows"), value("logits", "f32", 1, "rows", vocab)];
  /** Adds a node and names its only output after it. */
  const node = (output: string, op: string, from: readonly string[], more: Partial<OnnxNode> = {}): string => {
    nodes.push({ op, inputs: from, outputs: [output], ...more });
    return output;
  };
  const linear = (x: string, name: string): string => node(`${name}.y`, "Add", [node(`${name}.product`, "MatMul", [x, `${name}.weight`]), `${name}.bias`]);
  const norm = (x: string, name: string): string => node(`${name}.y`, "LayerNormalization", [x, `${name}.weight`, `${name}.bias`], { attributes: { axis: 2 } });

  let x = node("embedded", "Add", [node("tokens", "Gather", ["wte", "ids"]), node("places", "Gather", ["wpe", "positions"])]);
  for (let layer = 0; layer < layers; layer++) {
    const at = String(layer);
    const [pastK, pastV, nextK, nextV] = ["pastK", "pastV", "nextK", "nextV"].map((name) => `${name}.${at}`) as [string, string, string, string];
    inputs.push(cache(pastK), cache(pastV));
    outputs.push(cache(nextK), cache(nextV));
    const qkv = linear(norm(x, `${at}.norm1`), `${at}.qkv`);
    const o = `${at}.o`;
    nodes.push({ op: "GroupQueryAttention", domain: MICROSOFT, inputs: [qkv, "", "", pastK, pastV, "lastKey", "keys"], outputs: [o, nextK, nextV], attributes: { num_heads: heads, kv_num_heads: heads } });
    x = node(`${at}.attended`, "Add", [x, linear(o, `${at}.proj`)]);
    const hidden = node(`${at}.gelu`, "FastGelu", [linear(norm(x, `${at}.norm2`), `${at}.up`)], { domain: MICROSOFT });
    x = node(`${at}.x`, "Add", [x, linear(hidden, `${at}.down`)]);
  }
  node("head", "Transpose", ["wte"]);
  node("logits", "MatMul", [norm(x, "norm"), "head"]);
  node("next", "ArgMax", ["logits"], { attributes: { axis: 2, keepdims: 0 } });
  return onnxModel({ opset: 21, nodes, inputs, outputs, constants });
}

/** The graph on onnxruntime's CPU code, with as many threads as it takes by itself. */
export interface OnnxSession {
  readonly ort: OrtModule;
  readonly session: InferenceSession;
  readonly shape: DecoderShape;
}

export async function onnxSession(problem: DecodeProblem): Promise<OnnxSession> {
  const ort = await loadOrtNode();
  const session = await ort.InferenceSession.create(gptGraph(problem), { executionProviders: ["cpu"], logSeverityLevel: 3 });
  return { ort, session, shape: problem.shape };
}

/** A text in caches of its own. */
export interface OnnxText {
  /** Feeds ids after what the caches hold: the likeliest id after the last. */
  next(ids: readonly number[]): Promise<number>;
  /** As `next`, with the logits of the last row. */
  logits(ids: readonly number[]): Promise<Float32Array>;
  /** Forgets all rows past the first ones. */
  truncate(rows: number): void;
  readonly bytes: number;
}

/** @param room  rows that the caches hold at most */
export function onnxText({ ort, session, shape: { layers, width, heads, vocab } }: OnnxSession, room: number): OnnxText {
  const caches: Record<string, Tensor> = {};
  const grown: Record<string, Tensor> = {};
  for (let layer = 0; layer < layers; layer++) {
    for (const side of ["K", "V"]) {
      const cache = new ort.Tensor("float32", new Float32Array(room * width), [1, heads, room, width / heads]);
      caches[`past${side}.${String(layer)}`] = cache;
      grown[`next${side}.${String(layer)}`] = cache;
    }
  }
  let held = 0;
  const run = async (ids: readonly number[], output: "next" | "logits"): Promise<Tensor> => {
    const rows = ids.length;
    const feeds = {
      ...caches,
      ids: new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, rows]),
      positions: new ort.Tensor("int64", BigInt64Array.from(ids, (_, i) => BigInt(held + i)), [1, rows]),
      lastKey: new ort.Tensor("int32", Int32Array.of(held + rows - 1), [1]),
      keys: new ort.Tensor("int32", Int32Array.of(held + rows), []),
    };
    const results = await session.run(feeds, { ...grown, [output]: null });
    held += rows;
    return results[output]!;
  };
  return {
    next: async (ids) => Number(((await run(ids, "next")).data as BigInt64Array)[ids.length - 1]),
    logits: async (ids) => ((await run(ids, "logits")).data as Float32Array).slice((ids.length - 1) * vocab),
    truncate(rows) {
      held = Math.min(held, rows);
    },
    bytes: 2 * layers * room * width * 4,
  };
}
