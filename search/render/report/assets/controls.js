// What the viewer can choose: axes, colour, filters, columns of the table.

function controls(redraw, refilter) {
  const place = document.getElementById("controls");
  const named = data.columns.filter((c) => c.kind !== "text").map((c) => [c.name, c.title]);
  const every = data.columns.map((c) => [c.name, c.title]);
  const set = (key) => (value) => { state[key] = value; redraw(); };
  place.append(
    element("fieldset", {}, element("legend", {}, "Picture"),
      choice("axis-x", "Across", named, state.x, set("x")),
      choice("axis-y", "Up", named, state.y, set("y")),
      choice("colour", "Colour", every, state.colour, set("colour")),
      check("log-x", "log across", state.logX, set("logX")),
      check("log-y", "log up", state.logY, set("logY")),
      check("cloud", "other plans", state.cloud, set("cloud"))),
    filters(refilter));
}

function filters(refilter) {
  // Closed where it would fill the screen.
  const inside = element("div", { role: "group", "aria-label": "Filter" });
  const box = element("details", { id: "filters", class: "box", open: window.innerWidth >= 640 }, element("summary", {}, "Filter"), inside);
  for (const column of data.columns) {
    if (column.kind === "figure") continue;
    const values = distinct(column.name);
    if (values.length < 2 || values.length > MOST_OPTIONS) continue;
    const options = [["", "any"], ...values.map((v) => [String(v), short(v)])];
    inside.append(choice("filter-" + column.name, column.label, options, "", (value) => {
      if (value === "") delete state.equal[column.name];
      else state.equal[column.name] = value;
      refilter();
    }));
  }
  const numeric = data.columns.filter((c) => c.kind !== "text").map((c) => [c.name, c.title]);
  inside.append(choice("range-column", "Range of", numeric, state.range.column, (value) => {
    state.range.column = value;
    refilter();
  }));
  for (const [key, label] of [["low", "from"], ["high", "to"]]) {
    const input = element("input", { type: "number", step: "any", id: "range-" + key, inputmode: "decimal" });
    input.addEventListener("input", () => {
      state.range[key] = input.value === "" ? null : Number(input.value);
      refilter();
    });
    inside.append(element("label", { class: "control narrow" }, element("span", {}, label), input));
  }
  const reset = element("button", { type: "button", id: "reset" }, "Clear filters");
  reset.addEventListener("click", () => {
    state.equal = {};
    state.range.low = state.range.high = null;
    for (const field of box.querySelectorAll("select")) if (field.id !== "range-column") field.value = "";
    for (const field of box.querySelectorAll("input")) field.value = "";
    refilter();
  });
  inside.append(reset);
  return box;
}

function columnChecks(change) {
  const place = document.getElementById("columns");
  for (const column of data.columns) {
    place.append(check("show-" + column.name, column.title, state.visible.has(column.name), (on) => {
      if (on) state.visible.add(column.name);
      else state.visible.delete(column.name);
      change();
    }));
  }
}

function say() {
  const front = kept(data.front).length, cloud = kept(data.cloud).length;
  document.getElementById("count").textContent =
    short(front) + " of " + short(data.front.size) + " plans of the front" +
    (state.cloud ? ", " + short(cloud) + " of " + short(data.cloud.size) + " others" : "") + " pass the filters.";
}

// A table of inputs that shows one standing at a time.
function standings() {
  const select = document.getElementById("standing");
  select.addEventListener("change", () => {
    for (const line of document.querySelectorAll("#input-rows tr")) {
      line.hidden = select.value !== "" && line.dataset.standing !== select.value;
    }
  });
}
