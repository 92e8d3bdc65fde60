export { localCommunicators } from "./local-communicators.ts";
