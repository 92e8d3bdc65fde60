import { library } from "../../tooling/tsconfig/tsdown.ts";

export default library({ index: "src/index.ts", exchange: "src/exchange.ts", planning: "src/planning/index.ts" });
