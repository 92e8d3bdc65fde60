export { consecutiveWindows, randomWindows, windowsAt, type Batch, type BatchSource } from "./batches.ts";
export { AdamW, type AdamWOptions, type Rate } from "./optimizer.ts";
export { constantRate, warmupCosine, type CosineOptions, type Schedule } from "./schedule.ts";
export { loadWeights, openCheckpoint, resume, saveCheckpoint, type Checkpoint, type CheckpointInfo } from "./snapshot.ts";
export { bigramLoss, CharVocabulary, splitTokens } from "./text.ts";
export { Trainer, type EvaluationRecord, type StepRecord, type TrainerOptions, type TrainRecord } from "./trainer.ts";
export type { ReplayMode, ReplayState } from "./update.ts";
export { charTokenizer } from "./char-tokenizer.ts";
export { trainOnText, type TextTrainingOptions, type TrainedOnText } from "./train-on-text.ts";
