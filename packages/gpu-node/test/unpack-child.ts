import { unpackSwiftShader } from "../src/swiftshader.ts";

process.stdout.write(unpackSwiftShader(process.argv[2])?.driver ?? "");
