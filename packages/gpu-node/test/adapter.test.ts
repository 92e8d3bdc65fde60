import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, expect, test, vi } from "vitest";
import { openNodeAdapter } from "../src/adapter.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

const linuxX64 = process.platform === "linux" && process.arch === "x64";

test("some adapter opens on any machine, and its device computes", async () => {
  const { adapter } = await openNodeAdapter({ onNotice: () => undefined });
  const device = await adapter.requestDevice();
  const code = "@group(0) @binding(0) var<storage, read_write> x: array<f32>; @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { x[i] = f32(i) + 0.5; }";
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module: device.createShaderModule({ code }) } });
  const x = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const back = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: x } }] }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(x, back);
  device.queue.submit([encoder.finish()]);
  await back.mapAsync(GPUMapMode.READ);
  expect([...new Float32Array(back.getMappedRange())]).toEqual([0.5, 1.5, 2.5, 3.5]);
  device.destroy();
});

test.runIf(linuxX64)("POLYHEAD_GPU=embedded forces the software GPU, whatever the option says", async () => {
  vi.stubEnv("POLYHEAD_GPU", "embedded");
  const { adapter, source } = await openNodeAdapter({ prefer: "system" });
  expect(source).toBe("embedded");
  expect(adapter.info.description).toMatch(/SwiftShader/);
});

test.runIf(linuxX64)("the embedded driver does not leak into the environment of child processes", async () => {
  vi.stubEnv("VK_DRIVER_FILES", "/before.json");
  await openNodeAdapter({ prefer: "embedded" });
  expect(process.env["VK_DRIVER_FILES"]).toBe("/before.json");
});

test("a misspelt POLYHEAD_GPU is refused with the words it may be", async () => {
  vi.stubEnv("POLYHEAD_GPU", "swiftshader");
  await expect(openNodeAdapter()).rejects.toMatchObject({
    code: "GPU_NO_ADAPTER",
    message: expect.stringContaining("POLYHEAD_GPU is 'swiftshader'; it may be 'system' or 'embedded'") as string,
    fix: "correct or unset POLYHEAD_GPU",
  });
});

test.runIf(linuxX64)("in a worker thread, where no driver can be chosen, the error names the way out", async () => {
  const script = `import(${JSON.stringify(new URL("../src/adapter.ts", import.meta.url).href)})
    .then((module) => module.openNodeAdapter({ prefer: "embedded" }))
    .then(() => "opened", (error) => error.message)
    .then((text) => require("node:worker_threads").parentPort.postMessage(text));`;
  const env = { ...process.env };
  // A driver set from outside would work.
  delete env["VK_DRIVER_FILES"];
  const parent = `const { Worker } = require("node:worker_threads"); new Worker(${JSON.stringify(script)}, { eval: true }).once("message", (text) => { console.log(text); process.exit(); });`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=@polyhead/source", "-e", parent], { env });
  expect(stdout).toMatch(/\[GPU_NO_ADAPTER\] the embedded software GPU at .* gave no adapter\n {2}fix: open the GPU in the main thread, or start the process with VK_DRIVER_FILES=.*vk_swiftshader_icd\.json/);
});
