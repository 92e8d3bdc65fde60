// Walks the bench's decoder in float64 and prints what decode-ids.ts holds, which takes a minute or two.
import { sampled } from "./decode.ts";
import { decodeProblem, gptSmall } from "./decode-problem.ts";
import { decoderReference } from "./decode-reference.ts";

const LAST = 160;
const problem = decodeProblem(gptSmall);
const step = decoderReference(problem);
const ids = [...problem.prompt];
let margin = Infinity;
const logits: Record<number, number[]> = {};
for (let position = 0; position < LAST; position++) {
  const next = step(ids[position] ?? -1);
  if (position + 1 < ids.length) continue;
  margin = Math.min(margin, next.margin);
  const length = ids.push(next.id);
  if (length === 33 || length === 145) logits[length - 1] = [...sampled(next.logits)].map((value) => Number(value.toPrecision(9)));
}
console.log(JSON.stringify({ margin, ids: ids.slice(problem.prompt.length), logits }));
