/**
 * The table of "Attention Is All You Need", section 3.5, `[positions, width]`, row-major:
 * PE(pos, 2i) = sin(pos / base^(2i/width)), PE(pos, 2i + 1) = cos(pos / base^(2i/width)).
 */
export function sinusoids(positions: number, width: number, base = 10_000): Float64Array {
  return Float64Array.from({ length: positions * width }, (_, at) => {
    const pos = Math.floor(at / width);
    const feature = at % width;
    const i = Math.floor(feature / 2);
    const angle = pos / base ** ((2 * i) / width);
    return feature % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}
