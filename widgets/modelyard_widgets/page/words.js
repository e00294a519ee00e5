import { hold, keepKeys, make } from "./dom.js";

/** @import { Drawer, Figure } from "./types.js" */

/** @param {"p" | "h2"} tag @param {string} part @returns {Drawer} */
const line = (tag, part) => ({
  draw: (block) => make(tag, part, block.text),
  update: (node, block) => {
    node.textContent = block.text ?? "";
    return true;
  },
});

export const sentence = line("p", "sentence");
export const heading = line("h2", "heading");
export const text = line("p", "text");

const SAID = { good: "", warning: "Warning: ", error: "Error: " };

/** A line that is read out when it comes. @type {Drawer} */
export const told = {
  draw: (block, context) => {
    const node = make("p", "told");
    told.update?.(node, block, context);
    return node;
  },
  update: (node, { text: said = "", tone = "good" }) => {
    node.setAttribute("role", tone === "error" ? "alert" : "status");
    node.dataset.tone = tone;
    node.hidden = !said;
    node.textContent = said && SAID[tone] + said;
    return true;
  },
};

/** @type {Drawer} */
export const notes = {
  draw: ({ items = [] }) => {
    const list = make("ul", "notes");
    list.append(...items.map((each) => make("li", "note", each)));
    return list;
  },
};

/** @param {Figure} figure */
function figure({ label, value, note, tone }) {
  const node = make("div", "figure");
  const number = make("dd", "figure-value", value);
  if (tone) number.dataset.tone = tone;
  node.append(make("dt", "figure-label", label), number);
  if (note) node.append(make("dd", "figure-note", note));
  return node;
}

/** @type {Drawer} */
export const figures = {
  draw: (block) => {
    const list = make("dl", "figures");
    if (block.live) list.setAttribute("aria-live", "polite");
    list.append(...(block.figures ?? []).map(figure));
    return list;
  },
  update: (node, block) => {
    hold(node, (block.figures ?? []).map(figure));
    return true;
  },
};

/** @type {Drawer} */
export const progress = {
  draw: (block) => {
    const node = make("label", "progress");
    node.append(make("span", "progress-text"), make("progress", "progress-bar"));
    progress.update?.(node, block, /** @type {any} */ (null));
    return node;
  },
  update: (node, block) => {
    const bar = /** @type {HTMLProgressElement} */ (node.lastElementChild);
    /** @type {Element} */ (node.firstElementChild).textContent = block.text ?? "";
    bar.max = block.max || 1;
    if (block.value == null) bar.removeAttribute("value");
    else bar.value = block.value;
    return true;
  },
};

/** Text to take away: a call, a snippet. @type {Drawer} */
export const code = {
  draw: (block) => {
    const node = make("div", "code");
    const shown = make("pre", "code-text", block.text);
    shown.tabIndex = 0; // it scrolls by itself
    keepKeys(shown);
    shown.setAttribute("role", "group");
    shown.setAttribute("aria-label", block.label ?? "Code");
    const copy = make("button", "button", "Copy");
    copy.type = "button";
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(shown.textContent ?? "");
        copy.textContent = "Copied";
      } catch {
        // no clipboard without https or a permission: what is selected can be copied by hand
        getSelection()?.selectAllChildren(shown);
        copy.textContent = "Selected";
      }
      setTimeout(() => (copy.textContent = "Copy"), 2000);
    });
    node.append(shown, copy);
    return node;
  },
  update: (node, block) => {
    /** @type {Element} */ (node.firstElementChild).textContent = block.text ?? "";
    return true;
  },
};
