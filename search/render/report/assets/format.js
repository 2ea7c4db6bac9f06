// Numbers, elements, and text that Plotly cannot take for tags.

// As search/render/report/view.py `short`: three digits that count, above that whole numbers.
function short(number) {
  if (typeof number !== "number") return String(number);
  if (Math.abs(number) < 1e-6) return "0";
  if (Number.isInteger(number) || Math.abs(number) >= 999.5) {
    return number.toLocaleString("en-US", { maximumFractionDigits: 0 });
  }
  return String(Number(number.toPrecision(3)));
}

function shown(column, value) {
  if (column.kind === "text") return String(value).replaceAll("|", ", ");
  return column.unit ? short(value) + " " + column.unit : short(value);
}

// Plotly reads tags and entities of its own in text.
function quoted(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// An element with attributes and children; children that are not elements become text, never markup.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  for (const child of children) {
    made.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return made;
}

function choice(id, label, options, chosen, change) {
  const select = element("select", { id });
  for (const [value, text] of options) select.append(element("option", { value, selected: value === chosen }, text));
  select.addEventListener("change", () => change(select.value));
  return element("label", { class: "control" }, element("span", {}, label), select);
}

function check(id, label, on, change) {
  const box = element("input", { type: "checkbox", id, checked: on });
  box.addEventListener("change", () => change(box.checked));
  return element("label", { class: "check" }, box, " " + label);
}
