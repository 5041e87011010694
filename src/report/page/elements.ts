/** Elements by hand: text is always text, never markup. */

type Child = Node | string | null;

export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Throws where the page has none: the page and its script are of one build. */
export function find<Found extends Element>(selector: string, kind: new () => Found): Found {
  const element = document.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`the page has no ${selector}`);
  return element;
}

export function badge(passed: boolean, kind: string): HTMLElement {
  return make('span', { class: `badge ${passed ? 'gain' : 'loss'}` }, `${passed ? '✓' : '✗'} ${kind}`);
}
