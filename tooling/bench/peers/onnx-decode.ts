import { availableParallelism } from "node:os";
import { outputOf, type DecodeRun } from "../cases/decode.ts";
import type { Contender } from "../contender.ts";
import { sharing } from "../sharing.ts";
import { onnxSession, onnxText, type OnnxSession } from "./onnx-gpt.ts";

const sessions = sharing<string, OnnxSession>(({ session }) => { void session.release(); });

/** onnxruntime's CPU code on the same decoder; ids come back to JavaScript between steps, as its API has it. */
export const ortDecoder: Contender<DecodeRun> = {
  name: "onnxruntime-node CPU f32",
  role: "native",
  async setup({ decoder, past, first, tokens }) {
    const { value, release } = await sessions.take("f32", () => onnxSession(decoder));
    const text = onnxText(value, past.length + tokens);
    const logits = await text.logits(past);
    return {
      async run() {
        text.truncate(past.length);
        const ids: number[] = [];
        for (let i = 0, id = first; i < tokens; i++) ids.push((id = await text.next([id])));
        return outputOf(ids, logits);
      },
      decoding: () => ({ bytes: text.bytes }),
      facts: () => ({ threads: `its default, on ${String(availableParallelism())} cores` }),
      close: release,
    };
  },
};
