import { efficient } from "./efficient.ts";
import { flashShapes } from "./flash-shapes.ts";
import { hfTiny } from "./hf-tiny.ts";
import { models } from "./models.ts";
import { onnxOps } from "./onnx-ops.ts";
import type { ReferenceSet } from "./set.ts";
import { trainNanoGpt } from "./train-nanogpt.ts";

export const SETS: Readonly<Record<string, ReferenceSet>> = { efficient, "flash-shapes": flashShapes, "hf-tiny": hfTiny, models, "onnx-ops": onnxOps, "train-nanogpt": trainNanoGpt };
