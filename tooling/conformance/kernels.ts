import { flash } from "@polyhead/attn-flash";
import { flex } from "@polyhead/attn-flex";
import { reference } from "@polyhead/attn-mha";
import { createLab, type Caps, type Plan } from "@polyhead/core";

/** What attention cases are planned over. */
export const attentionLab = createLab(flex, flash, reference);

/** How a plan's hooks reach its kernel, and what the kernel says of its own choices: which template runs each pass. */
export function loweringOf({ kernel, how, problem }: Plan, caps: Caps): Readonly<Record<string, string>> {
  const notes = kernel.notes?.({ ...problem, how }, caps) ?? [];
  return { ...how, ...(notes.length > 0 && { notes: notes.join("; ") }) };
}
