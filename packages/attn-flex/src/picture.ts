/** A grid of shades, to be looked at: from 0, blank, to 1, solid. */
export interface Picture {
  readonly title: string;
  readonly rows: number;
  readonly columns: number;
  readonly shade: (row: number, column: number) => number;
}

// A dot rather than a space, since editors and Markdown eat spaces at the end of a line.
const SHADES = ["·", "░", "▒", "▓", "█"] as const;

/** The picture for a terminal, two characters a cell, so that cells are about square. Rows are queries, columns keys. */
export function toText({ title, rows, columns, shade }: Picture): string {
  const lines = Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => (SHADES[level(shade(i, j))] ?? "?").repeat(2)).join(""));
  return [title, ...lines].join("\n");
}

/** Anything above blank is seen, and only the whole is solid. */
function level(shade: number): number {
  if (shade <= 0) return 0;
  return shade >= 1 ? SHADES.length - 1 : Math.min(SHADES.length - 2, 1 + Math.floor(shade * (SHADES.length - 2)));
}

/** Side of a cell, in SVG units. */
const CELL = 8;

/** The picture as a self-contained SVG; runs of one shade in a row are one rectangle. */
export function toSvg({ title, rows, columns, shade }: Picture): string {
  const [width, height] = [columns * CELL, rows * CELL];
  const bars: string[] = [];
  for (let i = 0; i < rows; i++) {
    for (let j = 0, end = 0; j < columns; j = end) {
      const opacity = Math.min(1, Math.max(0, shade(i, j)));
      for (end = j + 1; end < columns && Math.min(1, Math.max(0, shade(i, end))) === opacity; end++);
      if (opacity > 0) bars.push(`<rect x="${j * CELL}" y="${i * CELL}" width="${(end - j) * CELL}" height="${CELL}" fill-opacity="${Number(opacity.toFixed(2))}"/>`);
    }
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#f4f4f2"/>`,
    `<g fill="#2a5d8f">${bars.join("")}</g>`,
    "</svg>",
  ].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
