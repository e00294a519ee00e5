import { hold, keepKeys, make, uniqueId } from "./dom.js";

/** @import { Context, Drawer, Tab } from "./types.js" */

/** Blocks side by side where there is room. @type {Drawer} */
export const group = {
  draw: (block, context) => {
    const node = make("div", "group");
    if (block.layout) node.dataset.layout = block.layout;
    context.sync(node, block.blocks ?? []);
    return node;
  },
  update: (node, block, context) => {
    context.sync(node, block.blocks ?? []);
    return true;
  },
};

/** Blocks below each other, that are shown again together. @type {Drawer} */
export const stack = {
  draw: (block, context) => {
    const node = make("div", "stack");
    context.sync(node, block.blocks ?? []);
    return node;
  },
  update: (node, block, context) => {
    context.sync(node, block.blocks ?? []);
    return true;
  },
};

/** Blocks that open on demand. @type {Drawer} */
export const details = {
  draw: (block, context) => {
    const node = make("details", "details");
    node.open = Boolean(block.open);
    node.append(make("summary", "summary", block.title), make("div", "details-body"));
    context.sync(/** @type {Element} */ (node.lastElementChild), block.blocks ?? []);
    return node;
  },
  update: (node, block, context) => {
    /** @type {Element} */ (node.firstElementChild).textContent = block.title ?? "";
    context.sync(/** @type {Element} */ (node.lastElementChild), block.blocks ?? []);
    return true;
  },
};

/** @typedef {{ tabs: Map<string, { tab: HTMLButtonElement, panel: HTMLElement }>, chosen: string }} Held */
/** @type {WeakMap<Element, Held>} */
const tabsOf = new WeakMap();

/** @param {Held} held @param {string} chosen */
function choose(held, chosen) {
  held.chosen = chosen;
  for (const [key, { tab, panel }] of held.tabs) {
    tab.setAttribute("aria-selected", String(key === chosen));
    tab.tabIndex = key === chosen ? 0 : -1;
    panel.hidden = key !== chosen;
  }
}

/** @param {Held} held @param {KeyboardEvent} event */
function walk(held, event) {
  const keys = [...held.tabs.keys()];
  const place = keys.indexOf(held.chosen);
  /** @type {Record<string, number>} */
  const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: keys.length - 1 };
  if (!(event.key in to)) return;
  event.preventDefault();
  event.stopPropagation(); // a notebook walks among its cells with the same keys
  const next = keys[(to[event.key] + keys.length) % keys.length];
  held.tabs.get(next)?.tab.focus();
  held.tabs.get(next)?.tab.click();
}

/** @param {Tab} tab @param {Held} held @param {string} key @param {Context} context */
function drawTab({ key: name, label }, held, key, context) {
  const tab = make("button", "tab", label);
  const panel = make("div", "tabpanel");
  tab.type = "button";
  tab.id = uniqueId();
  panel.id = uniqueId();
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", panel.id);
  keepKeys(tab);
  panel.setAttribute("role", "tabpanel");
  panel.setAttribute("aria-labelledby", tab.id);
  panel.tabIndex = 0;
  tab.addEventListener("click", () => {
    choose(held, name);
    context.act(key, name); // the kernel may draw what is only now seen
  });
  return { tab, panel };
}

/** @type {Drawer} */
export const tabs = {
  draw: (block, context) => {
    const node = make("div", "tabs");
    const list = make("div", "tablist");
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", block.title ?? "Views");
    node.append(list, make("div", "tabpanels"));
    /** @type {Held} */
    const held = { tabs: new Map(), chosen: block.tabs?.[0]?.key ?? "" };
    list.addEventListener("keydown", (event) => walk(held, event));
    tabsOf.set(node, held);
    tabs.update?.(node, block, context);
    return node;
  },
  update: (node, block, context) => {
    const held = tabsOf.get(node);
    if (!held) return false;
    const before = held.tabs;
    held.tabs = new Map(
      (block.tabs ?? []).map((each) => [each.key, before.get(each.key) ?? drawTab(each, held, block.key, context)]),
    );
    for (const each of block.tabs ?? []) {
      const there = held.tabs.get(each.key);
      if (!there) continue;
      there.tab.textContent = each.label;
      context.sync(there.panel, each.blocks);
    }
    const all = [...held.tabs.values()];
    hold(node.children[0], all.map(({ tab }) => tab));
    hold(node.children[1], all.map(({ panel }) => panel));
    choose(held, held.tabs.has(held.chosen) ? held.chosen : (block.tabs?.[0]?.key ?? ""));
    return true;
  },
};
