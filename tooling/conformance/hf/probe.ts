import { attentionStages } from "@polyhead/attn-mha";
import type { KernelInputs, KernelPlugin, Plugin } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";

type Kernel = KernelPlugin<string, Tensor>;

/**
 * Kernels that also tell the probabilities they weigh values with. Fused kernels never hold them, so they are computed beside each
 * call, from the very queries, keys and hooks that the kernel was given.
 */
export class AttentionProbe {
  #heard: Tensor[] | undefined;

  /** The same plugins, with listeners in the place of kernels: names, plans and results stay what they are. */
  plugins<P extends Plugin>(plugins: readonly P[]): P[] {
    return plugins.map((plugin) => (plugin.kind === "kernel" ? { ...plugin, run: (inputs: KernelInputs<Tensor>) => this.#run(plugin as Kernel, inputs) } : plugin));
  }

  /** Probabilities `[B, H, Tq, Tk]` of every attention that `work` computes, in order; the caller disposes of them. */
  listen(work: () => void): readonly Tensor[] {
    const heard: Tensor[] = [];
    this.#heard = heard;
    try {
      work();
    } finally {
      this.#heard = undefined;
    }
    return heard;
  }

  #run(kernel: Kernel, inputs: KernelInputs<Tensor>): ReturnType<Kernel["run"]> {
    const { engine } = inputs.q;
    this.#heard?.push(engine.keep(engine.scope(() => attentionStages(inputs).probabilities)));
    return kernel.run(inputs);
  }
}
