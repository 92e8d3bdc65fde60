import { GpuError } from "./errors.ts";

export type ParamType = "u32" | "i32" | "f32";
export type Feature = "subgroups" | "f16";
/** `read array<vec4f>` or `write array<f32>`; a written array may be read as well. */
export type BindingSpec = `${"read" | "write"} ${string}`;

export interface KernelSpec<B extends string = string, P extends string = string> {
  /** Shown in profiles and errors; says what is specialised ("matmul/subgroup 16x4"). */
  readonly name: string;
  /** Storage buffers, bound in this order at group 0. */
  readonly bindings: Readonly<Partial<Record<B, BindingSpec>>>;
  /** Scalars of one dispatch, read as `params.name`. */
  readonly params?: Readonly<Partial<Record<P, ParamType>>>;
  readonly enable?: readonly Feature[];
  /** Helpers and `@compute @workgroup_size(...) fn main(...)`. */
  readonly code: string;
}

/** A compiled-on-first-use compute kernel: a plain value, shared by all devices. */
export interface Kernel<B extends string = string, P extends string = string> {
  readonly name: string;
  readonly bindings: readonly { readonly name: B; readonly access: "read" | "write" }[];
  readonly params: readonly { readonly name: P; readonly type: ParamType }[];
  readonly enable: readonly Feature[];
  readonly code: string;
}

/** Every dispatch owns this much of the uniform ring; 256 is the largest alignment that WebGPU may ask for. */
export const UNIFORM_SLOT_BYTES = 256;

/**
 * Declares a kernel: prints the bindings and a `params` uniform in front of `code`.
 *
 * @throws GpuError `GPU_DISPATCH` when the scalars do not fit one uniform slot.
 */
export function defineKernel<const B extends string, const P extends string = never>(spec: KernelSpec<B, P>): Kernel<B, P> {
  const bindings = (Object.entries(spec.bindings) as [B, BindingSpec][]).map(([name, text]) => {
    const [access, ...type] = text.split(" ");
    return { name, access: access as "read" | "write", type: type.join(" ") };
  });
  const params = (Object.entries(spec.params ?? {}) as [P, ParamType][]).map(([name, type]) => ({ name, type }));
  if (params.length * 4 > UNIFORM_SLOT_BYTES) {
    throw new GpuError("GPU_DISPATCH", `kernel '${spec.name}' has ${params.length} scalars, a dispatch holds ${UNIFORM_SLOT_BYTES / 4}`, "pass tables as a storage buffer");
  }
  const enable = spec.enable ?? [];
  const head = [
    ...enable.map((feature) => `enable ${feature};`),
    ...bindings.map((b, i) => `@group(0) @binding(${i}) var<storage, ${b.access === "read" ? "read" : "read_write"}> ${b.name}: ${b.type};`),
    ...(params.length > 0
      ? [`struct Params { ${params.map((p) => `${p.name}: ${p.type}`).join(", ")} }`, "@group(1) @binding(0) var<uniform> params: Params;"]
      : []),
  ];
  return Object.freeze({
    name: spec.name,
    bindings: bindings.map(({ name, access }) => ({ name, access })),
    params,
    enable,
    code: `${head.join("\n")}\n${spec.code}`,
  });
}

/**
 * A family of kernels specialised by plain options. Equal options give the same kernel object, and so the same pipeline.
 * Options must be JSON values, since their JSON is the key.
 */
export function kernelFamily<O, K>(build: (options: O) => K): (options: O) => K {
  const built = new Map<string, K>();
  return (options) => {
    const key = JSON.stringify(options);
    let kernel = built.get(key);
    if (kernel === undefined) built.set(key, (kernel = build(options)));
    return kernel;
  };
}

/**
 * WGSL for one flat index over a grid made by `flatGrid`: x holds up to 65,535 workgroups, the rest goes to y.
 * Declare `@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32`.
 */
export const flatIndex = (workgroupSize: number): string => `(group.x + group.y * groups.x) * ${workgroupSize}u + lane`;

/** The workgroup counts that `flatIndex` expects for `items` invocations. */
export function flatGrid(items: number, workgroupSize: number): [number, number, number] {
  const groups = Math.max(1, Math.ceil(items / workgroupSize));
  const x = Math.min(groups, 65_535);
  return [x, Math.ceil(groups / x), 1];
}

/**
 * Whether there is nothing to run.
 *
 * @throws GpuError `GPU_DISPATCH` for counts that WebGPU does not take.
 */
export function isEmptyGrid(kernel: string, x: number, y: number, z: number): boolean {
  if (x > 0 && y > 0 && z > 0 && x <= 65_535 && y <= 65_535 && z <= 65_535) return false;
  if (x === 0 || y === 0 || z === 0) return true;
  throw new GpuError("GPU_DISPATCH", `kernel '${kernel}' was given ${x} × ${y} × ${z} workgroups; each count is 1 to 65,535`, "use flatGrid and flatIndex, or split the work");
}
