import type { Family } from "../family.ts";
import { bloom } from "./bloom.ts";
import { deepseekV2 } from "./deepseek-v2.ts";
import { deepseekV3 } from "./deepseek-v3.ts";
import { gpt2 } from "./gpt2.ts";
import { gptNeox } from "./gpt-neox.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { mpt } from "./mpt.ts";
import { t5 } from "./t5.ts";

/** Every family in Hugging Face's layout. */
export const FAMILIES: readonly Family[] = [gpt2, llama, mistral, bloom, mpt, t5, gptNeox, deepseekV2, deepseekV3];

export { bloom, deepseekV2, deepseekV3, gpt2, gptNeox, llama, mistral, mpt, t5 };
