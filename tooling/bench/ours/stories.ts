import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { decoder } from "@polyhead/model";
import { loadPretrained } from "@polyhead/model/node";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import type { StoryRun } from "../cases/stories.ts";
import type { Contender } from "../contender.ts";
import { decodeRunner } from "./decode-runner.ts";
import { ourGpu } from "./gpu.ts";

const lab = createLab(decoder, mha, flash, reference, rope, rms, tied);

/** The story model from its folder. */
export const ourStories = (replay: boolean): Contender<StoryRun> => ({
  name: ["polyhead f32", ...(replay ? [] : ["without replay"])].join(" "),
  role: "ours",
  async setup(run) {
    const { model, dispose } = await loadPretrained(lab, createEngine(await ourGpu()), run.folder);
    const runner = await decodeRunner(model, run, replay);
    return {
      ...runner,
      close() {
        runner.close?.();
        dispose();
      },
    };
  },
});
