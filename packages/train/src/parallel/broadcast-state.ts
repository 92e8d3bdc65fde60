import type { Communicator } from "@polyhead/core";
import type { TrainableModel } from "@polyhead/model";
import type { Tensor } from "@polyhead/tensor";
import type { AdamW } from "../optimizer.ts";

/** Gives every rank what training depends on, as rank 0 has it: weights, moments, the number of updates, the place in the random streams. */
export async function broadcastState(control: Communicator, model: TrainableModel, optimizer: AdamW): Promise<void> {
  const { engine } = model;
  const counters = Float64Array.of(optimizer.steps, engine.randomPosition);
  await control.broadcast(counters, 0);
  [optimizer.steps, engine.randomPosition] = counters as unknown as [number, number];
  for (const tensor of [...model.parameters.all.map(({ tensor: weights }) => weights), ...optimizer.first, ...optimizer.second]) await broadcastTensor(control, tensor);
}

async function broadcastTensor(control: Communicator, tensor: Tensor): Promise<void> {
  const data = control.rank === 0 ? await tensor.read() : new Float32Array(tensor.size);
  await control.broadcast(data, 0);
  if (control.rank !== 0) tensor.engine.upload(tensor, data);
}
