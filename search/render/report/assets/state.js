// The data of the page, what the viewer has chosen, and the plans that pass the filters.

const data = JSON.parse(document.getElementById("data").textContent);
const columns = new Map(data.columns.map((column) => [column.name, column]));
const AXES = ["gpus", "dp", "pp", "sp", "tp", "ep", "batch"];
const MOST_OPTIONS = 24; // a column with more values gets a range instead of a list

const state = {
  x: data.start.x, y: data.start.y, colour: data.start.colour, logX: false, logY: false, cloud: true,
  equal: {}, range: { column: data.start.y, low: null, high: null },
  sort: { column: null, down: false }, visible: new Set(data.columns.filter((c) => c.shown).map((c) => c.name)),
  selected: null, // row of the front, or null
};

// A column is stored as a list, or as one value where all plans share it.
function at(table, name, i) {
  const column = table[name];
  return Array.isArray(column) ? column[i] : column;
}

function row(table, i) {
  return (name) => at(table, name, i);
}

function distinct(name) {
  const found = new Set();
  for (const table of [data.front, data.cloud]) {
    for (let i = 0; i < table.size; i++) {
      for (const value of columns.get(name).kind === "text" ? at(table, name, i).split("|") : [at(table, name, i)]) {
        found.add(value);
      }
    }
  }
  return [...found].sort((a, b) => (typeof a === "number" ? a - b : a < b ? -1 : 1));
}

function passes(plan) {
  for (const [name, wanted] of Object.entries(state.equal)) {
    const value = plan(name);
    if (columns.get(name).kind === "text" ? !value.split("|").includes(wanted) : String(value) !== wanted) return false;
  }
  const { column, low, high } = state.range;
  const value = plan(column);
  return !((low !== null && value < low) || (high !== null && value > high));
}

function kept(table) {
  const rows = [];
  for (let i = 0; i < table.size; i++) if (passes(row(table, i))) rows.push(i);
  return rows;
}

// Rows of the front in the order of the table.
function ordered() {
  const rows = kept(data.front);
  const { column, down } = state.sort;
  if (column === null) return rows;
  const sign = down ? -1 : 1;
  return rows.sort((a, b) => {
    const x = at(data.front, column, a), y = at(data.front, column, b);
    return x === y ? a - b : sign * (x < y ? -1 : 1);
  });
}

function layoutOf(plan) {
  return AXES.map((axis) => axis + " " + short(plan(axis))).join(" ");
}

// What somebody wants to know of a plan who points at it, in lines.
function lines(plan, names) {
  return names.filter((name) => columns.has(name)).map((name) => {
    const column = columns.get(name);
    let text = column.label + ": " + shown(column, plan(name));
    if (column.interval && plan(name + "_low") !== undefined) {
      text += " [" + short(plan(name + "_low")) + " to " + short(plan(name + "_high")) + "]";
    }
    return text;
  });
}

// Which marked plan a row of the front is, if any.
function markOf(i) {
  const plan = row(data.front, i);
  return data.marks.find((mark) => AXES.every((axis) => mark.plan[axis] === plan(axis)));
}
