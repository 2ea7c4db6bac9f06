// Any two plans of the front, side by side.

function comparing() {
  const place = document.getElementById("compare");
  if (data.front.size < 2) return;
  const rows = ordered();
  const marked = data.marks.map((mark) => rows.find((i) => markOf(i) === mark)).filter((i) => i !== undefined);
  const chosen = [marked[0] ?? rows[0], marked[1] ?? rows.find((i) => i !== (marked[0] ?? rows[0]))];
  const options = rows.map((i) => {
    const mark = markOf(i);
    return [String(i), "row " + data.front.row[i] + ": " + layoutOf(row(data.front, i)) + (mark ? " (" + mark.name + ")" : "")];
  });
  const table = element("table", { id: "compare-table" });
  const set = (side) => (value) => { chosen[side] = Number(value); draw(); };
  const draw = () => table.replaceChildren(...sideBySide(...chosen));
  place.append(
    element("fieldset", {}, element("legend", {}, "Two plans side by side"),
      choice("compare-a", "One", options, String(chosen[0]), set(0)),
      choice("compare-b", "Other", options, String(chosen[1]), set(1))),
    element("div", { class: "scroll rows", tabindex: "0", role: "region", "aria-label": "Two plans side by side" }, table));
  draw();
}

function sideBySide(a, b) {
  const heads = [a, b].map((i) => "row " + data.front.row[i]);
  const head = element("thead", {}, element("tr", {},
    ...["figure", ...heads, "other against one"].map((text) => element("th", { scope: "col" }, text))));
  const lines = data.columns.map((column) => {
    const values = [a, b].map((i) => at(data.front, column.name, i));
    const same = values[0] === values[1];
    return element("tr", { class: same ? "same" : null }, element("th", { scope: "row" }, column.label),
      ...values.map((value, n) => element("td", { "data-label": heads[n] }, spanned(column, value, [a, b][n]))),
      element("td", { "data-label": "other against one" }, same ? "the same" : difference(column, ...values)));
  });
  return [element("caption", {}, "In brackets the 80 % intervals"), head, element("tbody", {}, ...lines)];
}

function spanned(column, value, i) {
  const text = shown(column, value);
  if (!column.interval || data.front[column.name + "_low"] === undefined) return text;
  return text + " [" + short(at(data.front, column.name + "_low", i)) + " to " + short(at(data.front, column.name + "_high", i)) + "]";
}

// A relative change, and whether it is for the better.
function difference(column, one, other) {
  if (column.kind === "text") return "another";
  if (one === 0) return "";
  const change = other / one - 1;
  if (Math.abs(change) < 5e-4) return "nearly the same";
  const text = (change > 0 ? "+" : "") + (Math.abs(change) < 10 ? (100 * change).toFixed(1) + " %" : "×" + short(other / one));
  if (column.better === null) return text;
  return text + ((column.better === "max") === (change > 0) ? " (better)" : " (worse)");
}
