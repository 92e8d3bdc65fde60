export { research } from "./research.ts";
export { transformers } from "./transformers.ts";
