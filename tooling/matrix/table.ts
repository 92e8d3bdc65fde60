import { AXES, keyOf, type Combination } from "./combination.ts";
import type { Outcome } from "./run.ts";

/** How a combination is told in a cell. */
function cell(outcome: Outcome | undefined, footnote: (sentence: string) => string): string {
  if (outcome === undefined) return "";
  if ("refusal" in outcome) return `no ${footnote(outcome.refusal)}`;
  const error = outcome.error.toExponential(0);
  return outcome.pass ? `✓ ${error}` : `✗ ${error} ${footnote(outcome.where)}`;
}

/** The rows of a kernel's table: what attention, position and norm are. */
const rowsOf = (): Pick<Combination, "attention" | "position" | "norm">[] =>
  AXES.attention.flatMap((attention) => AXES.position.flatMap((position) => AXES.norm.map((norm) => ({ attention, position, norm }))));

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

export interface MatrixFacts {
  /** The device that it was run on. */
  readonly adapter: string;
}

/** The whole page. */
export function renderMatrix(outcomes: ReadonlyMap<string, Outcome>, { adapter }: MatrixFacts): string {
  const sentences: string[] = [];
  const footnote = (sentence: string): string => {
    if (!sentences.includes(sentence)) sentences.push(sentence);
    return `[${sentences.indexOf(sentence) + 1}]`;
  };
  const tables = AXES.kernel.map((kernel) => {
    const head = ["attention", "position", "norm", ...AXES.mask];
    const rows = rowsOf().map((row) => line([row.attention, row.position, row.norm, ...AXES.mask.map((mask) => cell(outcomes.get(keyOf({ ...row, kernel, mask })), footnote))]));
    return [`## Kernel \`${kernel}\``, "", line(head), line(head.map(() => "---")), ...rows].join("\n");
  });
  const all = [...outcomes.values()];
  const count = (test: (outcome: Outcome) => boolean): number => all.filter(test).length;
  const agree = count((one) => "pass" in one && one.pass);
  const refused = count((one) => "refusal" in one);
  const failed = all.length - agree - refused;
  return `${INTRODUCTION}
${all.length} combinations on ${adapter}: ${agree} agree, ${refused} are refused, ${failed} fail.

${tables.join("\n\n")}
${sentences.length === 0 ? "" : `\n## Sentences\n\n${sentences.map((sentence, i) => `${i + 1}. ${sentence.replaceAll("\n", " ")}`).join("\n")}\n`}`;
}

const INTRODUCTION = `# What composes with what

Written by \`npm run matrix -- --write\`, never by hand.

Every attention × kernel × position × norm × mask of this repository, as one layer: x → position at \`embed\` → norm → projections → position at \`qk\` and \`score\`, mask, softmax → projection. A number is the largest error of the output and of all gradients (x, projections, norm, learned tables) against float64, relative to the largest magnitude of the tensor it is in (at least a hundredth of the largest gradient, since terms that cancel leave no digits); ✓ where outputs are within 1e-5 and gradients within 1e-4. "no" stands where the lab refuses, with its sentence below.

MHA has four heads, GQA shares two key heads, MQA one. GQA's rows start at position 3; MQA's last rows are computed once more beside a cache that holds the first.
`;

/** The combinations that a page tells of, for the test that it is not stale. */
export function combinationsIn(page: string): string[] {
  const found: string[] = [];
  let kernel = "";
  let masks: string[] = [];
  for (const text of page.split("\n")) {
    const heading = /^## Kernel `(.*)`$/.exec(text);
    if (heading !== null) [kernel, masks] = [heading[1]!, []];
    if (!text.startsWith("| ") || kernel === "") continue;
    const cells = text.slice(2, -2).split(" | ");
    const [attention = "", position = "", norm = "", ...rest] = cells;
    if (attention === "---") continue;
    if (masks.length === 0) masks = rest;
    else rest.forEach((told, i) => { if (told !== "") found.push(keyOf({ attention, position, norm, kernel, mask: masks[i]! })); });
  }
  return found;
}
