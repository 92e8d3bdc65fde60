/** The value of a bound's WGSL: sums, `max`, `select`, `i32`, comparisons and names. */
export function boundValue(text: string, names: Readonly<Record<string, number>>): number {
  const tokens = text.match(/[\w.]+|>=|[<>+\-(),]/g) ?? [];
  let at = 0;
  const take = (token: string): boolean => tokens[at] === token && ++at > 0;
  const primary = (): number => {
    if (take("-")) return -primary();
    if (take("(")) return list()[0]!;
    const word = tokens[at++]!;
    if (take("(")) return call(word, list());
    return names[word] ?? number(word);
  };
  const list = (): number[] => {
    const values = [comparison()];
    while (take(",")) values.push(comparison());
    if (!take(")")) throw new Error(`no ')' at token ${at} of '${text}'`);
    return values;
  };
  const sum = (): number => {
    let value = primary();
    for (;;) {
      if (take("+")) value += primary();
      else if (take("-")) value -= primary();
      else return value;
    }
  };
  const comparison = (): number => {
    const left = sum();
    if (take("<")) return Number(left < sum());
    if (take(">")) return Number(left > sum());
    return take(">=") ? Number(left >= sum()) : left;
  };
  return comparison();
}

function call(name: string, [a = NaN, b = NaN, c = NaN]: readonly number[]): number {
  if (name === "max") return Math.max(a, b);
  if (name === "select") return c === 1 ? b : a;
  if (name === "i32") return a;
  throw new Error(`'${name}' is not a function of bounds`);
}

function number(word: string): number {
  if (!/^\d+i$/.test(word)) throw new Error(`'${word}' is neither a name nor an i32`);
  return Number(word.slice(0, -1));
}
