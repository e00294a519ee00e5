/**
 * @typedef {object} Table
 * @property {string[]} columns
 * @property {string[][]} rows
 *
 * @typedef {object} Payload  what every result's JSON holds, whatever its kind
 * @property {number} schema
 * @property {string} sentence
 * @property {string[]} notes
 * @property {Table | null} table
 *
 * @typedef {object} Picture
 * @property {string} svg  drawn with `currentColor`, so that it takes the page's colour
 * @property {string} alt
 *
 * @typedef {Picture & { title: string }} Titled  a picture below the table
 *
 * @typedef {object} State
 * @property {string} kind
 * @property {Payload} payload
 * @property {Picture | null} picture
 * @property {Titled[]} [further]
 */

const CHANGES = /** @type {const} */ (["change:kind", "change:payload", "change:picture", "change:further"]);
/** Characters of a cell above which its column keeps some width, where a wide table would squeeze it. */
const LONG = 18;
const NUMBER = /^[-+±]?\d[\d.,]*(e[-+]?\d+)?(\s?[%a-zµ]{1,3})?$|^[–-]$/i;

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} part
 * @param {string} [text]
 */
function make(tag, part, text = "") {
  const node = document.createElement(tag);
  node.className = `modelyard-result-${part}`;
  node.textContent = text;
  return node;
}

/** @param {Table} table @param {string} title */
function drawTable({ columns, rows }, title) {
  const table = make("table", "table");
  table.append(make("caption", "caption", title));

  const numeric = columns.map(
    (_, i) => rows.length > 0 && rows.every((row) => NUMBER.test(row[i])),
  );
  const parts = columns.map((_, i) =>
    numeric[i] ? "number" : rows.some((row) => row[i].length > LONG) ? "words" : "text",
  );
  const head = table.createTHead().insertRow();
  columns.forEach((name, i) => {
    const cell = make("th", parts[i], name);
    cell.scope = "col";
    head.append(cell);
  });
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((text, i) => line.append(make("td", parts[i], text)));
  }

  // a wide table scrolls by itself, by keyboard too
  const frame = make("div", "scroll");
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", title);
  frame.append(table);
  return frame;
}

/** The colour of text, asked of the body: the panel itself may not be in the page yet. */
function textColor() {
  const page = getComputedStyle(document.body);
  const variables = ["--jp-content-font-color1", "--vscode-foreground"];
  return variables.map((name) => page.getPropertyValue(name).trim()).find(Boolean) ?? page.color;
}

/** @param {Picture} picture */
function drawPicture({ svg, alt }) {
  const image = make("img", "picture");
  image.alt = alt;
  // an image does not inherit the page's colour: it is told
  const tinted = new DOMParser().parseFromString(svg, "image/svg+xml");
  tinted.documentElement.setAttribute("color", textColor());
  const text = new XMLSerializer().serializeToString(tinted);
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  return image;
}

/** @param {Titled[]} pictures */
function drawFurther(pictures) {
  const all = make("div", "further");
  for (const picture of pictures) {
    const figure = make("figure", "figure");
    figure.append(make("figcaption", "title", picture.title), drawPicture(picture));
    all.append(figure);
  }
  return all;
}

/** @param {string[]} notes */
function drawNotes(notes) {
  const list = make("ul", "notes");
  list.append(...notes.map((note) => make("li", "note", note)));
  return list;
}

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el }) {
  const panel = make("section", "panel");
  panel.setAttribute("role", "region");
  el.append(panel);

  const draw = () => {
    const { sentence, notes, table } = model.get("payload");
    const picture = model.get("picture");
    const kind = model.get("kind");
    const title = kind.charAt(0).toUpperCase() + kind.slice(1);
    panel.setAttribute("aria-label", title);
    panel.replaceChildren(make("p", "sentence", sentence));
    if (picture) panel.append(drawPicture(picture));
    if (table) panel.append(drawTable(table, `${title} in figures`));
    if (notes.length > 0) panel.append(drawNotes(notes));
    const further = model.get("further") ?? [];
    if (further.length > 0) panel.append(drawFurther(further));
  };
  draw();
  for (const event of CHANGES) model.on(event, draw);

  // Lab and VS Code note their theme on the body
  const theme = new MutationObserver(draw);
  theme.observe(document.body, {
    attributeFilter: ["data-jp-theme-name", "data-jp-theme-light", "data-vscode-theme-kind"],
  });

  return () => {
    for (const event of CHANGES) model.off(event, draw);
    theme.disconnect();
    panel.remove();
  };
}

export default { render };
