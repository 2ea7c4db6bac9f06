// The table of the front, and the plan that is looked at.

function heading(column, sort) {
  const sorted = state.sort.column === column.name;
  const button = element("button", { type: "button", "data-column": column.name }, column.title,
    element("span", { class: "arrow", "aria-hidden": "true" }, sorted ? (state.sort.down ? " ▼" : " ▲") : ""));
  button.addEventListener("click", () => sort(column));
  const order = sorted ? (state.sort.down ? "descending" : "ascending") : "none";
  return element("th", { scope: "col", "aria-sort": order, class: { text: "t", degree: "d", figure: null }[column.kind] }, button);
}

function drawTable(select) {
  const table = document.getElementById("front-table");
  const head = table.tHead, body = table.tBodies[0];
  const visible = data.columns.filter((c) => state.visible.has(c.name));
  const { column: sorting, row: looking } = document.activeElement ? document.activeElement.dataset : {};
  head.replaceChildren(element("tr", {}, element("th", { scope: "col" }, "row"),
    ...visible.map((column) => heading(column, (chosen) => {
      // First the better end: what is to be large starts with the largest.
      const first = chosen.better === "max" || (chosen.better === null && chosen.kind === "figure" && !/_s$/.test(chosen.name));
      state.sort = state.sort.column === chosen.name ? { column: chosen.name, down: !state.sort.down } : { column: chosen.name, down: first };
      drawTable(select);
    }))));
  const rows = ordered().map((i) => {
    const mark = markOf(i), number = data.front.row[i];
    const button = element("button", { type: "button", "aria-label": "Look at the plan in row " + number, "data-row": i, "aria-pressed": String(i === state.selected) }, number);
    button.addEventListener("click", () => select(i));
    const first = element("th", { scope: "row" }, button);
    if (mark) first.append(" ", element("span", { class: "badge " + mark.role }, mark.role));
    const cells = visible.map((c) => element("td", { class: c.kind === "text" ? "t" : null, "data-label": c.title }, c.kind === "text" ? shown(c, at(data.front, c.name, i)) : short(at(data.front, c.name, i))));
    return element("tr", { class: [mark ? mark.role : "", i === state.selected ? "selected" : ""].join(" ").trim() || null }, first, ...cells);
  });
  body.replaceChildren(...rows);
  // The keyboard stays where it was.
  const again = sorting !== undefined ? head.querySelector('button[data-column="' + CSS.escape(sorting) + '"]')
    : looking !== undefined ? body.querySelector('button[data-row="' + CSS.escape(looking) + '"]') : null;
  if (again) again.focus();
}

function drawPlan() {
  const place = document.getElementById("plan");
  if (state.selected === null) {
    place.replaceChildren(element("p", { class: "hint" }, "Point at a plan to read it; press a point or a number in the table to keep it here. Dragging enlarges, two presses bring the whole back."));
    return;
  }
  const plan = row(data.front, state.selected), number = data.front.row[state.selected], mark = markOf(state.selected);
  const list = element("dl", {});
  for (const column of data.columns) {
    if (AXES.includes(column.name)) continue;
    const [text] = lines(plan, [column.name]);
    list.append(element("div", {}, element("dt", {}, column.label), element("dd", {}, text.slice(column.label.length + 2))));
  }
  place.replaceChildren(
    element("h3", {}, "Row " + number + ": " + layoutOf(plan) + (mark ? " (" + mark.name + ")" : "")), list);
}
