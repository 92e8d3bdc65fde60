import { PolyheadError } from "@polyhead/core";
import { missingFile, unreadable, whole, type FileSource } from "./source.ts";

export interface HubOptions {
  /** A branch, tag or commit; default 'main'. */
  readonly revision?: string;
  /** Access token, for private and gated models. */
  readonly token?: string;
  /** Another hub, such as a mirror. */
  readonly hubUrl?: string;
  /** In place of the global one. */
  readonly fetch?: typeof fetch;
}

const ID = /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/;

/** Whether a text may be a model's id on the hub: `name` or `owner/name`. */
export const isHubId = (id: string): boolean => ID.test(id) && !id.includes("..");

/** A server that ignores a range would send the whole file into memory. */
const honouringRanges = (send: typeof fetch): typeof fetch => async (input, init) => {
  const response = await send(input, init);
  if (!new Headers(init?.headers).has("range") || response.status !== 200) return response;
  // The hub's answers about a file, and about the chunks that a range of it lies in, are JSON and no part of the file.
  if (/^application\/([\w.-]+\+)?json/.test(response.headers.get("content-type") ?? "")) return response;
  await response.body?.cancel();
  throw new PolyheadError("SOURCE_RANGE", "the server sent a whole file where a part of it was asked for", "use a server that answers range requests, or download the folder");
};

/**
 * A model on the Hugging Face hub, read by range over the network; nothing is kept on disk. Give a folder instead to load a model
 * more than once.
 *
 * @param id  'name' or 'owner/name'
 * @throws PolyheadError `SOURCE_ID`; the source itself throws `SOURCE_MISSING` and `SOURCE_READ`.
 */
export function hubSource(id: string, { revision, token, hubUrl, fetch: send = fetch }: HubOptions = {}): FileSource {
  if (!isHubId(id)) throw new PolyheadError("SOURCE_ID", `'${id}' is no id of a model; expected 'name' or 'owner/name'`, "copy the id from the model's page");
  const label = `${id}@${revision ?? "main"}`;
  const blobs = new Map<string, Promise<Blob | null>>();
  const open = (name: string): Promise<Blob | null> => {
    const known = blobs.get(name);
    if (known !== undefined) return known;
    // Loaded here, so that whoever reads folders only does not pay for it.
    const opening = import("@huggingface/hub").then(({ downloadFile }) => downloadFile({
      repo: { type: "model", name: id }, path: name, fetch: honouringRanges(send),
      ...(revision !== undefined && { revision }), ...(hubUrl !== undefined && { hubUrl }), ...(token !== undefined && { accessToken: token }),
    }));
    blobs.set(name, opening);
    // What failed once may work when asked again.
    opening.catch(() => blobs.delete(name));
    return opening;
  };
  const get = async (name: string): Promise<Blob> => {
    const blob = await open(name).catch((cause: unknown) => { throw unreadable(label, name, cause); });
    if (blob === null) throw missingFile(label, name);
    return blob;
  };
  return {
    label,
    has: async (name) => (await open(name).catch((cause: unknown) => { throw unreadable(label, name, cause); })) !== null,
    size: async (name) => (await get(name)).size,
    read: async (name, begin, end) => {
      const blob = await get(name);
      const bytes = await blob.slice(begin, end).arrayBuffer().catch((cause: unknown) => { throw unreadable(label, name, cause); });
      return whole(new Uint8Array(bytes), label, name, begin, end);
    },
  };
}
