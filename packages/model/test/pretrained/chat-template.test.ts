import { expect, test } from "vitest";
import { chatTemplateOf, createChatTemplate } from "../../src/pretrained/index.ts";

const TEMPLATE = "{{ bos_token }}{% for message in messages %}{% if message.role not in ['user', 'assistant'] %}{{ raise_exception('no role ' + message.role) }}{% endif %}<{{ message.role }}>{{ message.content | trim }}</{{ message.role }}>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

test("a conversation becomes one text that ends where the assistant begins", () => {
  const template = chatTemplateOf({ chat_template: TEMPLATE, bos_token: { content: "<s>", special: true }, eos_token: "</s>" })!;
  const messages = [{ role: "user", content: " hi " }, { role: "assistant", content: "ho" }, { role: "user", content: "bye" }];
  expect(template.apply(messages)).toBe("<s><user>hi</user>\n<assistant>ho</assistant>\n<user>bye</user>\n<assistant>");
  expect(template.apply(messages.slice(0, 1), { addGenerationPrompt: false })).toBe("<s><user>hi</user>\n");
});

test("tools and variables of the caller's reach the template", () => {
  const template = createChatTemplate("{{ tools | length }}{{ date }}{{ messages[0].name }}");
  expect(template.apply([{ role: "user", content: "", name: "Ann" }], { tools: [{}, {}], variables: { date: "today" } })).toBe("2todayAnn");
});

test("the file comes before the config, and of several templates the default is taken", () => {
  const two = [{ name: "tool_use", template: "tools" }, { name: "default", template: "plain" }];
  expect(chatTemplateOf({ chat_template: two })!.source).toBe("plain");
  expect(chatTemplateOf({ chat_template: two }, "file")!.source).toBe("file");
  expect(chatTemplateOf({ chat_template: [two[0]] })!.source).toBe("tools");
  expect(chatTemplateOf({})).toBe(undefined);
});

test("a template that cannot be read, and messages that it refuses, say why", () => {
  expect(() => createChatTemplate("{% for %}")).toThrow("[CHAT_TEMPLATE] the chat template cannot be parsed");
  expect(() => createChatTemplate(TEMPLATE).apply([{ role: "clown", content: "" }])).toThrow(/\[CHAT_TEMPLATE\] the chat template does not take these 1 messages: .*no role clown/);
});
