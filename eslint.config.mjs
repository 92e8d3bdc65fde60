import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  globalIgnores(["**/dist/**", "**/coverage/**", "**/.turbo/**", "runs/**"]),
  {
    files: ["{packages,examples,tooling}/**/*.ts"],
    ignores: ["**/*.config.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      // Numbers are what our messages and kernels are made of.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // An index that was just bounds-checked by a loop is what `!` is for, under noUncheckedIndexedAccess.
      "@typescript-eslint/no-non-null-assertion": "off",
      // tsc asks for process.env["NAME"], the rule for process.env.NAME.
      "@typescript-eslint/dot-notation": "off",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: "only-allowed-literals" }],
      // `||` on purpose where an empty environment variable counts as unset.
      "@typescript-eslint/prefer-nullish-coalescing": ["error", { ignorePrimitives: { string: true } }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_", ignoreRestSiblings: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "eqeqeq": "error",
      "no-console": ["error", { allow: ["error"] }],
    },
  },
  {
    // Programs talk; libraries do not.
    files: ["examples/**/*.ts", "tooling/**/*.ts"],
    rules: { "no-console": "off" },
  },
);
