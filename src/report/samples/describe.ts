/** Queries and answers as people read them: tools and calls as code, not as escaped JSON. The page and its script share it. */

export interface Described {
  /** In a line. */
  title: string;
  /** What there is besides, by name. */
  more: readonly (readonly [name: string, text: string])[];
}

/** `fields` is JSON. */
export function describeQuery(fields: string): Described {
  const parsed: unknown = JSON.parse(fields);
  if (!isObject(parsed)) return { title: fields, more: [] };
  const { query, tools, answers } = parsed;
  if (typeof query === 'string' && Array.isArray(tools)) {
    const expected = typeof answers === 'string' ? answers : JSON.stringify(answers ?? '');
    return {
      title: oneLine(query),
      more: [
        ['tools', tools.map(showTool).join('\n')],
        ['expected', showCalls(expected)],
      ],
    };
  }
  const told = Object.entries(parsed).map(([name, value]) => `${name}: ${showValue(value)}`);
  return { title: oneLine(told.join(' · ')), more: [] };
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

function showValue(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object'))
    return value.map(String).join(', ');
  return JSON.stringify(value);
}

function showTool(tool: unknown): string {
  if (!isObject(tool)) return JSON.stringify(tool);
  const described = isObject(tool.function) ? tool.function : tool;
  const { name, description, parameters } = described;
  const properties =
    isObject(parameters) && isObject(parameters.properties) ? parameters.properties : parameters;
  const signature = Object.entries(isObject(properties) ? properties : {}).map(([parameter, about]) =>
    isObject(about) && typeof about.type === 'string' ? `${parameter}: ${about.type}` : parameter,
  );
  return `${name}(${signature.join(', ')})${typeof description === 'string' ? `  # ${oneLine(description)}` : ''}`;
}

const TAGGED = /<tool_call>\s*([\s\S]*?)\s*<\/tool_call>/g;

/** An answer with its tool calls written as calls; what is no call stays as it is. */
export function showCalls(text: string): string {
  const shown = text.replace(TAGGED, (whole, inside: string) => asCalls(inside) ?? whole);
  if (shown !== text) return shown;
  return asCalls(text) ?? text;
}

/** Undefined where the text isn't JSON of calls alone. */
function asCalls(text: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const calls = Array.isArray(parsed) ? parsed : [parsed];
  const shown = calls.map(showCall);
  return shown.includes(undefined) || shown.length === 0 ? undefined : shown.join('\n');
}

function showCall(call: unknown): string | undefined {
  if (!isObject(call) || typeof call.name !== 'string') return undefined;
  const given = call.arguments ?? call.parameters;
  if (!isObject(given)) return undefined;
  const pairs = Object.entries(given).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${call.name}(${pairs.join(', ')})`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
