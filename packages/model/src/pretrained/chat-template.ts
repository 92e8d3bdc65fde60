import { Template } from "@huggingface/jinja";
import { PolyheadError } from "@polyhead/core";

/** One turn of a conversation; templates may read keys of their own beside these. */
export interface ChatMessage {
  /** Such as 'system', 'user' or 'assistant'. */
  readonly role: string;
  readonly content: unknown;
  readonly [key: string]: unknown;
}

export interface ChatOptions {
  /** Ends with the beginning of the assistant's turn, so that generation goes on there. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** Tools that the model may call, as JSON schemas. */
  readonly tools?: readonly unknown[];
  /** Other variables that the template reads. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export interface ChatTemplate {
  /** The template itself, in Jinja. */
  readonly source: string;
  /**
   * The conversation as one text. It holds its special tokens already: encode it with `special: false`.
   *
   * @throws PolyheadError `CHAT_TEMPLATE` when the template refuses the messages.
   */
  apply(messages: readonly ChatMessage[], options?: ChatOptions): string;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * A chat template.
 *
 * @param source   in Jinja, as `tokenizer_config.json` or `chat_template.jinja` holds it
 * @param special  what templates read beside the messages, such as `bos_token`
 * @throws PolyheadError `CHAT_TEMPLATE` when it cannot be parsed.
 */
export function createChatTemplate(source: string, special: Readonly<Record<string, string>> = {}): ChatTemplate {
  let template: Template;
  try {
    template = new Template(source);
  } catch (error) {
    throw new PolyheadError("CHAT_TEMPLATE", `the chat template cannot be parsed: ${reasonOf(error)}`, "use the template that came with the model");
  }
  return Object.freeze({
    source,
    apply: (messages: readonly ChatMessage[], { addGenerationPrompt = true, tools, variables }: ChatOptions = {}) => {
      try {
        return template.render({ ...special, ...variables, messages, ...(tools !== undefined && { tools }), add_generation_prompt: addGenerationPrompt });
      } catch (error) {
        throw new PolyheadError("CHAT_TEMPLATE", `the chat template does not take these ${messages.length} messages: ${reasonOf(error)}`, "give the roles, and the order of them, that the model's template expects");
      }
    },
  });
}

/** A token as a config writes it: its text, or an object that holds it. */
function textOf(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  if (typeof token !== "object" || token === null || !("content" in token)) return undefined;
  return typeof token.content === "string" ? token.content : undefined;
}

/** The template named 'default' of a list, or the only one. */
function sourceOf(template: unknown): string | undefined {
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const named = template.filter((entry): entry is { name: unknown; template: unknown } => typeof entry === "object" && entry !== null && "name" in entry && "template" in entry);
  const chosen = named.find(({ name }) => name === "default") ?? (named.length === 1 ? named[0] : undefined);
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}

/**
 * The chat template of a model; undefined where it has none.
 *
 * @param config  the content of `tokenizer_config.json`
 * @param file    the content of `chat_template.jinja`, which comes first
 * @throws PolyheadError `CHAT_TEMPLATE`
 */
export function chatTemplateOf(config: Readonly<Record<string, unknown>>, file?: string): ChatTemplate | undefined {
  const source = file ?? sourceOf(config["chat_template"]);
  if (source === undefined) return undefined;
  const special = Object.entries(config).filter(([key]) => key.endsWith("_token")).flatMap(([key, token]) => {
    const text = textOf(token);
    return text === undefined ? [] : [[key, text] as const];
  });
  return createChatTemplate(source, Object.fromEntries(special));
}
