import { library } from "../../tooling/tsconfig/tsdown.ts";

export default library({ "index": "src/index.ts", "communicator-laws": "src/communicator-laws.ts" }, "node");
