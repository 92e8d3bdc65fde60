/**
 * One subgroup of `lanes` computes `rows` × (4·lanes·quads) outputs: a lane owns `quads` groups of four columns and all
 * rows; lanes load A between them and broadcast it. No workgroup memory, no barrier.
 */
export interface SubgroupTemplate {
  readonly kind: "subgroup";
  readonly lanes: number;
  readonly rows: number;
  readonly quads: number;
}

/** `x` × `y` threads, each with `rows` × (4·quads) outputs in registers, read straight from storage. Needs no feature. */
export interface RegisterTemplate {
  readonly kind: "register";
  readonly x: number;
  readonly y: number;
  readonly rows: number;
  readonly quads: number;
}

/** As `register`, but A and B pass through workgroup memory in slices of `depth` along K (a multiple of 4). */
export interface WorkgroupTemplate {
  readonly kind: "workgroup";
  readonly x: number;
  readonly y: number;
  readonly rows: number;
  readonly quads: number;
  readonly depth: number;
}

/**
 * Few rows (decoding): `x` groups of four columns × `slices` threads that share K between them. Their sums meet in
 * workgroup memory, or by `subgroupAdd` where the workgroup is one subgroup.
 */
export interface VectorTemplate {
  readonly kind: "vector";
  readonly x: number;
  readonly slices: number;
  readonly meet: "workgroup" | "subgroup";
}

export type MatmulTemplate = SubgroupTemplate | RegisterTemplate | WorkgroupTemplate | VectorTemplate;

/** What is done to a sum before it is stored, in this order: scale, bias, keep, activation, residual, accumulate. */
export interface Epilogue {
  readonly bias?: boolean;
  /** Also writes the value that the activation is given, for its gradient. */
  readonly keep?: boolean;
  /** WGSL that declares `fn activate(x: f32) -> f32`. */
  readonly activation?: string;
  readonly residual?: boolean;
  /** Adds to what the output holds, rather than replacing it. */
  readonly accumulate?: boolean;
}

/** All that a matmul kernel is specialised by; sizes and strides are scalars of the dispatch. JSON, since it keys the family. */
export interface MatmulSpec {
  readonly template: MatmulTemplate;
  /** A's storage is K × M. */
  readonly transA: boolean;
  /** B's storage is N × K. */
  readonly transB: boolean;
  /** Four neighbours of A, B and C lie in one aligned vec4. */
  readonly vecA: boolean;
  readonly vecB: boolean;
  readonly vecC: boolean;
  /** K is not a multiple of 4. */
  readonly ragged: boolean;
  /** B holds f16 numbers, two to a word. */
  readonly half: boolean;
  /** Sums over a batch axis too (a gradient of something that was broadcast). */
  readonly reduce: boolean;
  /** Rows find their matrix through a routing, in place of a batch: see experts.ts. */
  readonly experts?: "products" | "weights";
  readonly epilogue: Epilogue;
}

/** Outputs of one workgroup: rows × columns. */
export function tileOf(template: MatmulTemplate): readonly [rows: number, columns: number] {
  switch (template.kind) {
    case "subgroup":
      return [template.rows, 4 * template.lanes * template.quads];
    case "register":
    case "workgroup":
      return [template.y * template.rows, 4 * template.x * template.quads];
    case "vector":
      return [1, 4 * template.x];
  }
}

/** How a template is called in profiles, caches and explanations. */
export function templateName(template: MatmulTemplate): string {
  switch (template.kind) {
    case "subgroup":
      return `subgroup${template.lanes} ${template.rows}x${4 * template.quads}`;
    case "register":
      return `register ${template.x}x${template.y} ${template.rows}x${4 * template.quads}`;
    case "workgroup":
      return `workgroup ${template.x}x${template.y} ${template.rows}x${4 * template.quads} k${template.depth}`;
    case "vector":
      return `vector ${template.x}x${template.slices} ${template.meet}`;
  }
}
