import { hold, keepKeys, make, uniqueId } from "./dom.js";

/** @import { Act, Control, Drawer } from "./types.js" */

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */

/** @param {Control} control */
const written = ({ value, unit = "" }) => `${value ?? ""}${unit ? ` ${unit}` : ""}`;

/** @param {Field} field */
function said(field) {
  if (field instanceof HTMLInputElement) {
    if (field.type === "checkbox") return field.checked;
    if (field.type === "range" || field.type === "number") return field.value === "" ? null : field.valueAsNumber;
  }
  return field.value;
}

/** @param {Control} control @returns {Field} */
function fieldOf(control) {
  if (control.type === "select") {
    const field = make("select", "field");
    for (const { value, label } of control.options ?? []) {
      const option = make("option", "option", label);
      option.value = value;
      field.append(option);
    }
    return field;
  }
  if (control.type === "area") {
    const field = make("textarea", "field");
    field.rows = 4;
    return field;
  }
  const field = make("input", "field");
  field.type = control.type === "check" ? "checkbox" : control.type;
  return field;
}

/** Give a field what its control says, but for the value that somebody is changing. @param {Field} field @param {Control} control */
function set(field, control) {
  field.disabled = Boolean(control.disabled);
  if (control.always) field.dataset.always = "";
  if (field instanceof HTMLInputElement) {
    for (const bound of /** @type {const} */ (["min", "max", "step"])) {
      if (control[bound] !== undefined) field[bound] = String(control[bound]);
    }
  }
  if (field.ownerDocument.activeElement === field && control.type !== "check") return;
  if (field instanceof HTMLInputElement && field.type === "checkbox") field.checked = Boolean(control.value);
  else field.value = control.value == null ? "" : String(control.value);
}

/** @param {Control} control @param {Act} act */
function button(control, act) {
  const node = make("button", "button", control.label);
  node.type = "button";
  node.disabled = Boolean(control.disabled);
  if (control.tone) node.dataset.tone = control.tone;
  if (control.always) node.dataset.always = "";
  if (control.help) node.title = control.help;
  node.addEventListener("click", () => act(control.key, true));
  return node;
}

/** @param {Control} control @param {Act} act */
function radios(control, act) {
  const node = make("fieldset", "control");
  node.append(make("legend", "control-label", control.label));
  const group = uniqueId();
  for (const { value, label } of control.options ?? []) {
    const line = make("label", "radio");
    const radio = make("input", "radio-field");
    Object.assign(radio, { type: "radio", name: group, value, checked: value === control.value });
    radio.disabled = Boolean(control.disabled);
    keepKeys(radio);
    radio.addEventListener("change", () => act(control.key, value));
    line.append(radio, make("span", "radio-label", label));
    node.append(line);
  }
  return node;
}

/** @param {Control} control @param {Act} act */
function labelled(control, act) {
  const node = make("div", "control");
  node.dataset.type = control.type;
  const id = uniqueId();
  const label = make("label", "control-label", control.label);
  label.htmlFor = id;
  const field = fieldOf(control);
  field.id = id;
  keepKeys(field);
  set(field, control);
  node.append(label);
  if (control.type === "range") {
    const value = make("output", "control-value", written(control));
    value.htmlFor = id;
    value.setAttribute("aria-live", "off"); // the slider itself says its value
    node.append(value);
    field.addEventListener("input", () => (value.textContent = written({ ...control, value: said(field) })));
  }
  node.append(field);
  if (control.suggestions) {
    const list = make("datalist", "suggestions");
    list.id = uniqueId();
    list.append(...control.suggestions.map((each) => Object.assign(make("option", "option"), { value: each })));
    field.setAttribute("list", list.id);
    node.append(list);
  }
  if (control.help) {
    const help = make("span", "control-help", control.help);
    help.id = uniqueId();
    field.setAttribute("aria-describedby", help.id);
    node.append(help);
  }
  // what slides tells while it slides, what is typed when it is done
  field.addEventListener(control.type === "range" ? "input" : "change", () => act(control.key, said(field)));
  return node;
}

/** @param {Control} control @param {Act} act */
function drawn(control, act) {
  if (control.type === "button") return button(control, act);
  return control.type === "radio" ? radios(control, act) : labelled(control, act);
}

/** What of a control is in its element for good: another of these, and it is drawn anew. @param {Control} control */
const fixed = ({ value, disabled, min, max, step, always, ...rest }) =>
  JSON.stringify(["button", "radio"].includes(rest.type) ? { value, disabled, ...rest } : rest);

/** @type {WeakMap<Element, Map<string, { node: HTMLElement, as: string }>>} */
const held = new WeakMap();

/** @type {Drawer} */
export const controls = {
  draw: (block, context) => {
    const node = make("div", "controls");
    held.set(node, new Map());
    controls.update?.(node, block, context);
    return node;
  },
  update: (node, block, { act }) => {
    const before = held.get(node) ?? new Map();
    const now = new Map();
    for (const control of block.controls ?? []) {
      const there = before.get(control.key);
      const as = fixed(control);
      if (there?.as === as) {
        const field = there.node.querySelector(".modelyard-field");
        if (field) set(field, control);
        const value = there.node.querySelector("output");
        if (value && field && field !== document.activeElement) value.textContent = written(control);
        now.set(control.key, there);
      } else {
        const fresh = drawn(control, act);
        // a button that says something else keeps the focus that it had
        const focused = there?.node === document.activeElement && fresh instanceof HTMLButtonElement;
        now.set(control.key, { node: fresh, as });
        if (focused) {
          there.node.replaceWith(fresh);
          fresh.focus();
        }
      }
    }
    held.set(node, now);
    hold(node, [...now.values()].map((each) => each.node));
    return true;
  },
};
