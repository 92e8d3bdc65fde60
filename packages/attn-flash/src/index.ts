export { flash } from "./plugin.ts";
