import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DecoderModel } from "../../src/index.ts";
import { folderSource, loadPretrained, sourceOf } from "../../src/node/index.ts";
import { hubSource, memorySource, type FileSource, type Pretrained } from "../../src/pretrained/index.ts";
import { expected, files, held, lab } from "./fixture.ts";

const root = mkdtempSync(join(tmpdir(), "polyhead-source-"));
const folder = join(root, "model");
const text = new TextEncoder().encode("0123456789");

/** A hub of one model: `stories/tiny`, at the revision 'main', with what is asked of it. */
const asked: { readonly path: string; readonly range: string | undefined; readonly token: string | undefined }[] = [];
let ranges = true;
const served: Record<string, Uint8Array> = { "a.txt": text, ...Object.fromEntries(Object.entries(files()).map(([name, file]) => [name, typeof file === "string" ? new TextEncoder().encode(file) : file])) };
function answer(request: IncomingMessage, response: ServerResponse): void {
  const { url = "", headers: { range, authorization } } = request;
  asked.push({ path: url, range, token: authorization });
  const [, name = ""] = /^\/stories\/tiny\/resolve\/main\/(.*)$/.exec(url) ?? [];
  const file = served[name];
  if (name === "broken.txt") return void response.writeHead(500).end();
  if (file === undefined) return void response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
  const [, begin, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  // The first byte tells the size; what comes then may be answered whole.
  if (begin === undefined || (!ranges && end !== "0")) return void response.writeHead(200, { ETag: '"1"' }).end(file);
  const part = file.subarray(Number(begin), Number(end) + 1);
  response.writeHead(206, { ETag: '"1"', "Content-Range": `bytes ${begin}-${Number(begin) + part.length - 1}/${file.length}` }).end(part);
}
let server: Server;
let hubUrl = "";
beforeAll(async () => {
  mkdirSync(join(folder, "inner"), { recursive: true });
  writeFileSync(join(folder, "a.txt"), text);
  writeFileSync(join(root, "secret.txt"), "secret");
  symlinkSync(join(folder, "a.txt"), join(folder, "linked.txt"));
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(root, { recursive: true });
});

const sources: [string, () => Promise<FileSource>][] = [
  ["a folder", () => folderSource(folder)],
  ["memory", () => Promise.resolve(memorySource({ "a.txt": text }))],
  ["a file of a browser", () => Promise.resolve(memorySource({ "a.txt": new Blob([text]) }))],
  ["a hub", () => Promise.resolve(hubSource("stories/tiny", { hubUrl }))],
];

test.each(sources)("%s gives the bytes of a range, and never fewer", async (_name, open) => {
  const source = await open();
  expect([await source.has("a.txt"), await source.has("b.txt"), await source.size("a.txt")]).toEqual([true, false, 10]);
  expect(new TextDecoder().decode(await source.read("a.txt", 3, 7))).toBe("3456");
  expect(new TextDecoder().decode(await source.read("a.txt", 0, 10))).toBe("0123456789");
  await expect(source.read("a.txt", 8, 12)).rejects.toThrow(/\[SOURCE_READ\] cannot read 'a.txt' of .*: bytes 8 to 12 were asked for, 2 came/);
  await expect(source.size("b.txt")).rejects.toThrow("has no file 'b.txt'");
  await expect(source.read("b.txt", 0, 1)).rejects.toThrow("[SOURCE_MISSING]");
});

test("no name leads out of a folder; links within are followed", async () => {
  const source = await folderSource(folder);
  for (const name of ["../secret.txt", "inner/../../secret.txt", join(root, "secret.txt"), "", ".", "../model"]) {
    await expect(source.read(name, 0, 1), name).rejects.toThrow("[SOURCE_PATH]");
    await expect(source.has(name), name).rejects.toThrow("[SOURCE_PATH]");
  }
  expect(await source.size("linked.txt")).toBe(10);
  expect([await source.has("inner"), await source.list!()]).toEqual([false, ["a.txt", "linked.txt"]]);
  await expect(folderSource(join(root, "none"))).rejects.toThrow("[SOURCE_FOLDER] there is no folder");
});

test("a hub is asked for ranges, with the token, and once for what a file is", async () => {
  const source = hubSource("stories/tiny", { hubUrl, token: "hf_x" });
  asked.length = 0;
  await source.size("a.txt");
  await source.read("a.txt", 2, 4);
  await source.read("a.txt", 4, 5);
  const path = "/stories/tiny/resolve/main/a.txt";
  expect(asked).toEqual(["bytes=0-0", "bytes=2-3", "bytes=4-4"].map((range) => ({ path, range, token: "Bearer hf_x" })));
});

test("a server that fails, or sends the whole file for a part of it, is an error that says so", async () => {
  const source = hubSource("stories/tiny", { hubUrl });
  await expect(source.has("broken.txt")).rejects.toThrow(/\[SOURCE_READ\] cannot read 'broken.txt' of stories\/tiny@main: .*500/);
  ranges = false;
  await expect(source.read("a.txt", 2, 4)).rejects.toThrow(/^\[SOURCE_RANGE\] the server sent a whole file where a part of it was asked for/);
  ranges = true;
  await expect(hubSource("stories/none", { hubUrl: "http://127.0.0.1:9" }).has("a.txt")).rejects.toThrow("[SOURCE_READ]");
});

test("what is no id is refused before anything is asked", () => {
  for (const id of ["../etc", "a/b/c", "", "a b", "https://example.org/x", "a/..", "/tmp"]) expect(() => hubSource(id), id).toThrow("[SOURCE_ID]");
});

test("a text is a folder where there is one, else an id", async () => {
  expect((await sourceOf(folder)).label).toBe(folder);
  expect((await sourceOf("stories/tiny", { hubUrl })).label).toBe("stories/tiny@main");
  await expect(sourceOf("./nothing-here")).rejects.toThrow("[SOURCE_FOLDER] './nothing-here' is neither a folder nor an id");
});

test("a model is loaded over the network without its files being kept", async () => {
  const engine = createEngine(await openNodeGpu());
  const { model, dispose } = await (loadPretrained(lab, engine, "stories/tiny", { hub: { hubUrl } }) as Promise<Pretrained<DecoderModel>>);
  expect(await held(model)).toEqual(expected());
  dispose();
  engine.gpu.dispose();
});
