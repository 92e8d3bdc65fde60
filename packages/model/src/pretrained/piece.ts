import { PolyheadError } from "@polyhead/core";
import type { Piece, Recipe } from "./family.ts";

/** Row `r` of a piece begins at `r · step` of the source, and goes on every `stride` numbers. */
interface Walk {
  readonly rows: number;
  readonly columns: number;
  readonly step: number;
  readonly stride: number;
}

const product = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

/** A vector is a column of rows of one number each. */
function walkOf({ tensor, shape, transpose = false, rows }: Piece): Walk {
  const [first = 1] = shape;
  const rest = first === 0 ? 0 : product(shape) / first;
  if (transpose && shape.length !== 2) throw new PolyheadError("PRETRAINED_PIECE", `tensor '${tensor}' of shape [${shape.join(", ")}] is to be transposed`, "transpose matrices only");
  const walk = transpose ? { rows: rest, columns: first, step: 1, stride: rest } : { rows: first, columns: rest, step: rest, stride: 1 };
  const beyond = rows?.find((row) => row >= walk.rows);
  if (beyond !== undefined) throw new PolyheadError("PRETRAINED_PIECE", `row ${beyond} of tensor '${tensor}', which has ${walk.rows}`, "ask for rows that the tensor has");
  return walk;
}

/** Calls `visit` for each number of a piece: its place in our part and in the source. Returns how many there are. */
function walk(piece: Piece, visit: (ours: number, theirs: number) => void): number {
  const { rows, columns, step, stride } = walkOf(piece);
  const count = piece.rows?.length ?? rows;
  for (let i = 0, ours = 0; i < count; i++) {
    const begin = (piece.rows?.[i] ?? i) * step;
    for (let j = 0; j < columns; j++) visit(ours++, begin + j * stride);
  }
  return count * columns;
}

/** Numbers that a recipe makes. */
export function recipeSize(recipe: Recipe): number {
  return recipe.reduce((size, piece) => {
    const { rows, columns } = walkOf(piece);
    return size + (piece.rows?.length ?? rows) * columns;
  }, 0);
}

/**
 * One of our parameters, row-major, from the tensors of a checkpoint.
 *
 * @param read  the numbers of a tensor, by the name in the recipe, row-major
 * @throws PolyheadError `PRETRAINED_PIECE` for a tensor of another size than its shape, a row that it does not have, or a transposed
 *   piece that is no matrix.
 */
export function assemble(recipe: Recipe, read: (tensor: string) => Float32Array): Float32Array {
  const made = new Float32Array(recipeSize(recipe));
  let at = 0;
  for (const piece of recipe) {
    const source = read(piece.tensor);
    checkSize(piece, source.length);
    // Most pieces are whole tensors as they lie.
    if (piece.rows === undefined && piece.transpose !== true) {
      made.set(source, at);
      at += source.length;
    } else {
      const begin = at;
      at += walk(piece, (ours, theirs) => (made[begin + ours] = source[theirs]!));
    }
  }
  return made;
}

/**
 * The inverse: tensors of a checkpoint from one of our parameters, or from its gradient. Tensors that several parameters share are
 * put together by passing the same `into`; what no piece holds stays 0.
 *
 * @param ours  row-major, as many numbers as the recipe makes
 * @throws PolyheadError as `assemble`.
 */
export function dismantle(recipe: Recipe, ours: Float32Array, into: Map<string, Float32Array> = new Map<string, Float32Array>()): Map<string, Float32Array> {
  const size = recipeSize(recipe);
  if (ours.length !== size) throw new PolyheadError("PRETRAINED_PIECE", `${ours.length} numbers for a recipe of ${size}`, "give the parameter that the recipe makes");
  let at = 0;
  for (const piece of recipe) {
    let target = into.get(piece.tensor);
    if (target === undefined) into.set(piece.tensor, (target = new Float32Array(product(piece.shape))));
    checkSize(piece, target.length);
    const begin = at;
    const whole = target;
    at += walk(piece, (mine, theirs) => (whole[theirs] = ours[begin + mine]!));
  }
  return into;
}

function checkSize({ tensor, shape }: Piece, size: number): void {
  if (size !== product(shape)) throw new PolyheadError("PRETRAINED_PIECE", `tensor '${tensor}' has ${size} numbers; shape [${shape.join(", ")}] has ${product(shape)}`, "read the tensor that the recipe names");
}
