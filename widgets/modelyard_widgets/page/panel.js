import { bars } from "./bars.js";
import { controls } from "./controls.js";
import { hold, make } from "./dom.js";
import { details, group, stack, tabs } from "./layout.js";
import { picture, retint } from "./picture.js";
import { table } from "./table.js";
import { code, figures, heading, notes, progress, sentence, text, told } from "./words.js";

/** @import { AnyModel } from "@anywidget/types" */
/** @import { Act, Block, Context, Drawer } from "./types.js" */

/**
 * @typedef {object} State
 * @property {string} title
 * @property {Block[]} blocks
 * @property {string} busy  what is being done, or nothing
 */

/** @type {Record<string, Drawer>} */
const DRAWERS = {
  bars, code, controls, details, figures, group, heading, notes, picture, progress, sentence, stack, table, tabs, text,
  told,
};

/** Milliseconds without an answer after which the reader is told. */
const PATIENCE = 10_000;
const SILENT = "The kernel does not answer: it is busy with a cell, or it is gone.";
const GONE = "The kernel is gone, or was started again: run the cell again to use this panel.";

/** Draws blocks, and later draws again only what changed. */
class Drawing {
  /** @param {HTMLElement} root @param {Act} act */
  constructor(root, act) {
    this.root = root;
    /** @type {Map<string, { node: HTMLElement, block: Block, said: string }>} */
    this.drawn = new Map();
    /** @type {Context} */
    this.context = { act, sync: (parent, blocks) => hold(parent, blocks.map((block) => this.node(block))) };
  }

  /** @param {Block[]} blocks */
  draw(blocks) {
    this.context.sync(this.root, blocks);
  }

  /** Draw a block that is in the page already, wherever it is. @param {Block} block */
  patch(block) {
    const before = this.drawn.get(block.key)?.node;
    const now = this.node(block);
    if (before && before !== now) before.replaceWith(now);
  }

  /** @param {Block} block @returns {HTMLElement} */
  node(block) {
    const drawer = DRAWERS[block.type];
    if (!drawer) return make("p", "text", `This page cannot show a ${block.type}: it is of another version.`);
    const said = JSON.stringify(block);
    const before = this.drawn.get(block.key);
    if (before?.said === said) return before.node;
    const kept = before?.block.type === block.type && drawer.update?.(before.node, block, this.context);
    const node = before && kept ? before.node : drawer.draw(block, this.context);
    this.drawn.set(block.key, { node, block, said });
    return node;
  }
}

/** `blocks` with each of `fresh` in the place of the block that has its key. @param {Block[]} blocks @param {Block[]} fresh @returns {Block[]} */
export function merged(blocks, fresh) {
  return blocks.map((block) => {
    const there = fresh.find((each) => each.key === block.key) ?? block;
    const inner = there === block ? { ...block } : { ...there };
    if (inner.blocks) inner.blocks = merged(inner.blocks, fresh);
    if (inner.tabs) inner.tabs = inner.tabs.map((tab) => ({ ...tab, blocks: merged(tab.blocks, fresh) }));
    return inner;
  });
}

/** Sends one message at a time: while one is on its way, only the last value of each control waits. @param {AnyModel<State>} model @param {() => void} silent */
function sender(model, silent) {
  /** @type {Map<string, any>} */
  const waiting = new Map();
  let turn = 0;
  let underway = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let patience;

  function next() {
    const first = waiting.entries().next();
    if (underway || first.done) return;
    const [key, value] = first.value;
    waiting.delete(key);
    underway = ++turn;
    patience = setTimeout(silent, PATIENCE);
    model.send({ do: key, value, turn });
  }

  return {
    /** @type {Act} */
    act: (key, value) => {
      waiting.delete(key); // the last to change is the last to be sent
      waiting.set(key, value);
      next();
    },
    /** @param {number} answered */
    done: (answered) => {
      if (answered !== underway) return; // another view's
      underway = 0;
      clearTimeout(patience);
      next();
    },
    stop: () => clearTimeout(patience),
  };
}

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el }) {
  const panel = make("section", "panel");
  panel.setAttribute("role", "region");
  const status = make("p", "status");
  status.setAttribute("role", "status");
  const body = make("div", "body");
  panel.append(status, body);
  el.append(panel);

  let gone = false;
  let silent = false;
  const sending = sender(model, () => {
    silent = true;
    tell();
  });
  const drawing = new Drawing(body, sending.act);

  const tell = () => {
    const busy = model.get("busy");
    status.textContent = gone ? GONE : silent ? SILENT : busy ? `${busy}…` : "";
    status.dataset.tone = gone || silent ? "warning" : "good";
    panel.setAttribute("aria-busy", String(Boolean(busy) && !gone));
    body.inert = gone; // not the status, which says why
    for (const node of body.querySelectorAll(".modelyard-controls .modelyard-button")) {
      // not `disabled`: the focus stays, and what is disabled for a reason of its own stays so
      if (busy && !node.hasAttribute("data-always")) node.setAttribute("aria-disabled", "true");
      else node.removeAttribute("aria-disabled");
    }
  };
  const draw = () => {
    panel.setAttribute("aria-label", model.get("title"));
    drawing.draw(model.get("blocks"));
    tell();
  };
  /** @param {any} content */
  const hear = (content) => {
    gone = false;
    if (content.patch) {
      // the page's copy of the state is kept up to date without sending it back
      model.set("blocks", merged(model.get("blocks"), content.patch));
      for (const block of content.patch) drawing.patch(block);
    }
    if (content.done) {
      silent = false;
      sending.done(content.done);
    }
    tell();
  };
  // told when the kernel ends, and when the page has found one again: only a kernel that has this panel answers
  const live = () => {
    gone = true;
    tell();
    try {
      model.send({ do: "", turn: 0 });
    } catch {
      // there is nobody to ask
    }
  };

  draw();
  model.on("change:blocks", draw);
  model.on("change:title", draw);
  model.on("change:busy", tell);
  model.on("msg:custom", hear);
  // not among anywidget's events, but of every Jupyter widget: the kernel's end is told so
  const events = /** @type {any} */ (model);
  events.on("comm_live_update", live);
  model.send({ here: true });

  panel.addEventListener(
    "click",
    (event) => {
      if (event.target instanceof Element && event.target.closest("[aria-disabled=true]")) event.stopImmediatePropagation();
    },
    true,
  );

  // Lab and VS Code note their theme on the body
  const theme = new MutationObserver(() => retint(panel));
  theme.observe(document.body, {
    attributeFilter: ["data-jp-theme-name", "data-jp-theme-light", "data-vscode-theme-kind"],
  });

  return () => {
    model.off("change:blocks", draw);
    model.off("change:title", draw);
    model.off("change:busy", tell);
    model.off("msg:custom", hear);
    events.off("comm_live_update", live);
    sending.stop();
    theme.disconnect();
    panel.remove();
  };
}

export default { render };
