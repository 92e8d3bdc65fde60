import { shaderError, GpuError } from "./errors.ts";
import type { Failures } from "./failures.ts";
import { UNIFORM_SLOT_BYTES, type Kernel } from "./kernel.ts";
import { STAGE_COMPUTE, Usage } from "./usage.ts";
import { OFFSET_ALIGNMENT, type BufferSlice } from "./pool.ts";
import type { GpuCaps } from "./caps.ts";

/** A kernel on one device. */
export interface Compiled {
  readonly kernel: Kernel;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const MAX_BIND_GROUPS = 16_384;

/**
 * Pipelines by kernel and bind groups by buffers. A cached bind group costs a quarter of a fresh one. Both live as long as their
 * kernel does, so that a cache of kernels that drops one drops all of it.
 */
export class Pipelines {
  compiled = 0;
  bindGroupsCreated = 0;
  #cachedBindGroups = 0;
  readonly uniforms: GPUBuffer;
  readonly uniformGroup: GPUBindGroup;
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #caps: GpuCaps;
  readonly #byKernel = new WeakMap<Kernel, Compiled>();
  #bindGroups = new WeakMap<Compiled, Map<string, GPUBindGroup>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #uniformLayout: GPUBindGroupLayout;

  constructor(device: GPUDevice, caps: GpuCaps, failures: Failures, uniformSlots: number) {
    this.#device = device;
    this.#caps = caps;
    this.#failures = failures;
    this.uniforms = device.createBuffer({ label: "params", size: uniformSlots * UNIFORM_SLOT_BYTES, usage: Usage.UNIFORM | Usage.COPY_DST });
    this.#uniformLayout = device.createBindGroupLayout({
      entries: [{ binding: 0, visibility: STAGE_COMPUTE, buffer: { type: "uniform", hasDynamicOffset: true } }],
    });
    this.uniformGroup = this.bindUniforms(this.uniforms);
  }

  /** A bind group whose dynamic offset picks a slot of `buffer`. */
  bindUniforms(buffer: GPUBuffer): GPUBindGroup {
    return this.#device.createBindGroup({ layout: this.#uniformLayout, entries: [{ binding: 0, resource: { buffer, size: UNIFORM_SLOT_BYTES } }] });
  }

  /** @throws GpuError `GPU_UNSUPPORTED` when the kernel needs what this device lacks. */
  get(kernel: Kernel): Compiled {
    return this.#byKernel.get(kernel) ?? this.#compile(kernel);
  }

  bindGroup(compiled: Compiled, slices: readonly BufferSlice[]): GPUBindGroup {
    let key = "";
    for (const { buffer, offset, size } of slices) key += `${buffer.id},${offset},${size};`;
    return this.#bindGroups.get(compiled)?.get(key) ?? this.#bind(compiled, slices, key);
  }

  /** Forgets every bind group: some of their buffers are gone. */
  forgetBindGroups(): void {
    this.#bindGroups = new WeakMap();
    this.#cachedBindGroups = 0;
  }

  #compile(kernel: Kernel): Compiled {
    const { name, bindings, enable, code } = kernel;
    for (const feature of enable) {
      if (!this.#caps[feature]) {
        throw new GpuError("GPU_UNSUPPORTED", `kernel '${name}' needs ${feature}, which this device lacks`, "choose a kernel that does without, by gpu.caps");
      }
    }
    if (bindings.length > this.#caps.storageBuffers) {
      throw new GpuError("GPU_UNSUPPORTED", `kernel '${name}' binds ${bindings.length} storage buffers; this device allows ${this.#caps.storageBuffers}`, "pack buffers together, or split the kernel");
    }
    const device = this.#device;
    const types = bindings.map((b) => (b.access === "read" ? ("read-only-storage" as const) : ("storage" as const)));
    const access = types.join();
    let layout = this.#layouts.get(access);
    if (layout === undefined) {
      layout = device.createBindGroupLayout({
        entries: types.map((type, binding) => ({ binding, visibility: STAGE_COMPUTE, buffer: { type } })),
      });
      this.#layouts.set(access, layout);
    }
    const bindGroupLayouts = kernel.params.length > 0 ? [layout, this.#uniformLayout] : [layout];
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: name, code });
    const pipeline = device.createComputePipeline({
      label: name,
      layout: device.createPipelineLayout({ bindGroupLayouts }),
      compute: { module, entryPoint: "main" },
    });
    this.#failures.watch(device.popErrorScope().then((error) => (error === null ? undefined : explain(kernel, module, error))));
    const compiled: Compiled = { kernel, pipeline, layout };
    this.#byKernel.set(kernel, compiled);
    this.compiled++;
    return compiled;
  }

  #bind(compiled: Compiled, slices: readonly BufferSlice[], key: string): GPUBindGroup {
    const { kernel, layout } = compiled;
    check(kernel, slices, this.#caps.maxBindingBytes);
    if (this.#cachedBindGroups >= MAX_BIND_GROUPS) this.forgetBindGroups();
    const group = this.#device.createBindGroup({
      layout,
      entries: slices.map(({ buffer, offset, size }, binding) => ({ binding, resource: { buffer: buffer.buffer, offset, size } })),
    });
    let bindGroups = this.#bindGroups.get(compiled);
    if (bindGroups === undefined) this.#bindGroups.set(compiled, (bindGroups = new Map<string, GPUBindGroup>()));
    bindGroups.set(key, group);
    this.#cachedBindGroups++;
    this.bindGroupsCreated++;
    return group;
  }
}

/** WebGPU's own messages for these name neither kernel nor binding, so they are checked here, once per bind group. */
function check(kernel: Kernel, slices: readonly BufferSlice[], maxBindingBytes: number): void {
  const fail = (message: string, fix: string, code = "GPU_DISPATCH"): never => {
    throw new GpuError(code, `kernel '${kernel.name}': ${message}`, fix);
  };
  slices.forEach(({ buffer, offset, size }, i) => {
    const { name, access } = kernel.bindings[i]!;
    if (size > maxBindingBytes) {
      fail(`'${name}' binds ${size} bytes; this device allows ${maxBindingBytes} in one binding`, "use a smaller batch or context, or a kernel that works in chunks", "GPU_TOO_LARGE");
    }
    if (offset % OFFSET_ALIGNMENT !== 0) fail(`'${name}' starts at byte ${offset}, not a multiple of ${OFFSET_ALIGNMENT}`, "bind the whole buffer and pass the offset as a scalar");
    if (access === "write") {
      const other = slices.findIndex((s, j) => j !== i && s.buffer === buffer);
      if (other >= 0) fail(`'${name}' is written and shares its buffer with '${kernel.bindings[other]!.name}'`, "write to a fresh buffer, or bind it once");
    }
  });
}

async function explain(kernel: Kernel, module: GPUShaderModule, error: GPUError): Promise<GpuError> {
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter((m) => m.type === "error").map((m) => ({ line: m.lineNum, column: m.linePos, message: m.message }));
  return errors.length > 0
    ? shaderError(kernel.name, kernel.code, errors)
    : new GpuError("GPU_SHADER", `kernel '${kernel.name}' has no pipeline on this device: ${error.message}`, "check workgroup size and memory against gpu.caps");
}
