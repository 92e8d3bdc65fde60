import { formula } from "@polyhead/expr";
import { openNodeGpu } from "@polyhead/gpu-node";
import { assertClose, checkGradients, FORWARD, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { allTemplates } from "../src/kernels/matmul/choose.ts";
import { createEngine, explainMatmul, fromHalf, linear, matmul, templateName, toHalf, tuneMatmul, type Engine, type MatmulTemplate } from "../src/index.ts";
