import { alibi, attentionSink, causal, dilated, documents, globalLocal, neighborhood, prefixLm, prefixLmDocuments, relativeTable, slidingWindow, softcap, type Drawn } from "../src/index.ts";

/** The modifiers as the README shows them. */
const SHOWN: readonly Drawn[] = [
  causal(), slidingWindow(4), prefixLm(4), documents(Int32Array.from({ length: 12 }, (_, position) => (position < 3 ? 0 : position < 8 ? 1 : 2))),
  dilated({ size: 3, step: 3 }), neighborhood({ width: 4, height: 3, size: 3 }), globalLocal({ globals: 2, reach: 1 }), attentionSink({ sinks: 2, size: 3 }),
  prefixLmDocuments([7, 5], [3, 2]), softcap(4), alibi(4), relativeTable({ heads: 1, reach: 3 }),
];

const COLUMNS = 3;
const CELLS = 12;

/** All pictures, three beside each other. */
export function pictures(): string {
  const drawn = SHOWN.map((one) => one.draw({ cells: CELLS, positions: CELLS }).split("\n"));
  const width = 2 * CELLS + 10;
  const lines: string[] = [];
  for (let first = 0; first < drawn.length; first += COLUMNS) {
    for (let line = 0; line <= CELLS; line++) lines.push(drawn.slice(first, first + COLUMNS).map((rows) => (rows[line] ?? "").padEnd(width)).join("").trimEnd());
    lines.push("");
  }
  return lines.join("\n").trimEnd();
}
