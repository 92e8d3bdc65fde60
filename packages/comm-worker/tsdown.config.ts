import { library } from "../../tooling/tsconfig/tsdown.ts";

export default library();
