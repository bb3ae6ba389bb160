// Owns how Solid's compiled templates become elements: one createElement call at a time. The client has no place at all where
// text is parsed as HTML, so the Trusted Types policy needs no rule for it. It knows no component.

import { createRenderer } from "solid-js/universal";

const SVG = new Set(["svg", "path", "circle", "rect"]);
/** Attributes that are set as properties, because their attribute only holds the initial value. */
const LIVE = new Set(["value", "checked", "selected", "indeterminate"]);
/** Would parse text as HTML, script or style. */
const REFUSED = /^(innerHTML|outerHTML|srcdoc|style)$/;

function listen(node: Element, name: string, next: unknown, previous: unknown): void {
  const event = name.slice(2).toLowerCase();
  if (typeof previous === "function") node.removeEventListener(event, previous as EventListener);
  if (typeof next === "function") node.addEventListener(event, next as EventListener);
}

function setAttribute(node: Element, name: string, value: unknown): void {
  const spelled = name.startsWith("aria-") || name.startsWith("data-");
  if (value === undefined || value === null || (value === false && !spelled)) node.removeAttribute(name);
  else node.setAttribute(name, value === true && !spelled ? "" : String(value));
}

function toggleClasses(node: Element, classes: Readonly<Record<string, boolean | undefined>>): void {
  for (const [name, on] of Object.entries(classes)) node.classList.toggle(name, on === true);
}

function setProperty(node: Node, name: string, value: unknown, previous?: unknown): void {
  const element = node as Element;
  if (REFUSED.test(name)) throw new TypeError(`${name} is not for templates`);
  if (name.startsWith("on")) listen(element, name, value, previous);
  else if (name === "classList") toggleClasses(element, value as Record<string, boolean>);
  else if (LIVE.has(name)) Object.assign(element, { [name]: value ?? "" });
  else setAttribute(element, name, value);
}

/** What the compiler's output imports, see vite.config.ts. */
export const {
  render,
  effect,
  memo,
  createComponent,
  createElement,
  createTextNode,
  insertNode,
  insert,
  spread,
  setProp,
  mergeProps,
  use,
} = createRenderer<Node>({
  createElement: (tag) =>
    SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag),
  createTextNode: (value) => document.createTextNode(value),
  replaceText: (node, value) => {
    (node as Text).data = value;
  },
  isTextNode: (node) => node.nodeType === Node.TEXT_NODE,
  setProperty,
  insertNode: (parent, node, anchor) => {
    parent.insertBefore(node, anchor ?? null);
  },
  removeNode: (parent, node) => {
    parent.removeChild(node);
  },
  getParentNode: (node) => node.parentNode ?? undefined,
  getFirstChild: (node) => node.firstChild ?? undefined,
  getNextSibling: (node) => node.nextSibling ?? undefined,
});
