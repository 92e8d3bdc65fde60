import { library } from "../../tooling/tsconfig/tsdown.ts";

export default library({ index: "src/index.ts", pretrained: "src/pretrained/index.ts", node: "src/node/index.ts" });
