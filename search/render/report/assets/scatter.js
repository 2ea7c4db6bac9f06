// The picture of the plans.

// Okabe and Ito's colours.
const KINDS = ["#56B4E9", "#009E73", "#E69F00", "#CC79A7", "#0072B2", "#D55E00", "#B8A800", "#7A7F87"];
const POINTED = ["output_tokens_per_s", "output_tokens_per_s_per_gpu", "ttft_s", "burst_ttft_s", "tpot_s", "memory_utilization", "engines", "coverage"];

function hover(name, plan, misses) {
  const wanted = [...new Set([state.y, state.x, state.colour, ...POINTED])].filter((n) => !AXES.includes(n));
  const text = [layoutOf(plan), ...lines(plan, wanted)];
  if (misses !== "none") text.push("misses: " + misses);
  return ["<b>" + quoted(name) + "</b>", ...text.map(quoted)].join("<br>");
}

function points(table, rows, name, more) {
  return Object.assign({
    type: "scatter", mode: "markers", hoverinfo: "text", name,
    x: rows.map((i) => at(table, state.x, i)), y: rows.map((i) => at(table, state.y, i)),
  }, more);
}

// Accelerators by shape, small counts filled and large ones hollow around them, so that plans that coincide are both seen.
const SHAPES = ["circle", "square-open", "diamond-open", "triangle-up-open", "pentagon-open", "hexagon-open", "star-square-open", "circle-open"];
const MISSED = ["x-thin-open", "cross-thin-open", "asterisk-open", "y-down-open", "hash-open"];
const counts = distinct("gpus");

function shape(gpus) {
  return SHAPES[Math.min(counts.indexOf(gpus), SHAPES.length - 1)];
}

function girth(gpus) {
  return 8 + 4 * Math.min(counts.indexOf(gpus), 5);
}

// One trace a limit that is missed first: why a plan is not feasible stands in the legend.
function cloudTraces() {
  if (!state.cloud) return [];
  const rows = kept(data.cloud), look = theme();
  const text = (list) => list.map((i) => hover("scored plan", row(data.cloud, i), at(data.cloud, "misses", i)));
  const why = [...new Set(rows.map((i) => at(data.cloud, "misses", i)))].filter((name) => name !== "none").sort();
  const traces = why.map((limit, n) => {
    const mine = rows.filter((i) => at(data.cloud, "misses", i) === limit);
    const marker = { color: look.far, size: 5, symbol: MISSED[n % MISSED.length], opacity: 0.6, line: { width: 1, color: look.far } };
    return points(data.cloud, mine, "infeasible: misses the " + quoted(limit) + " limit first (" + short(mine.length) + ")", { hovertext: text(mine), marker });
  });
  const others = rows.filter((i) => at(data.cloud, "misses", i) === "none");
  return [...traces, points(data.cloud, others, "feasible, not on the front", { hovertext: text(others), marker: { color: look.near, size: 5, opacity: 0.45 } })];
}

function frontTraces() {
  const rows = kept(data.front), column = columns.get(state.colour), look = theme();
  const text = (i) => hover("front, row " + data.front.row[i], row(data.front, i), "none");
  const kinds = [...new Set(rows.map((i) => at(data.front, state.colour, i)))].sort((a, b) => (typeof a === "number" ? a - b : a < b ? -1 : 1));
  const drawn = (mine, name, more) => {
    const gpus = mine.map((i) => at(data.front, "gpus", i));
    return points(data.front, mine, name, { hovertext: mine.map(text), customdata: mine,
      marker: { symbol: gpus.map(shape), size: gpus.map(girth), line: { color: look.edge, width: 0.8 }, ...more } });
  };
  if (column.kind === "text" || kinds.length <= KINDS.length) {
    const colour = (kind) => KINDS[kinds.indexOf(kind) % KINDS.length];
    const traces = kinds.map((kind) => drawn(rows.filter((i) => at(data.front, state.colour, i) === kind),
      "front, " + quoted(column.label + " " + shown(column, kind)), { color: colour(kind) }));
    return state.colour === "gpus" ? traces : [...traces, ...shapeKey()];
  }
  const bar = { title: { text: quoted(column.title), side: "right" }, thickness: 12, len: 0.9, outlinewidth: 0 };
  return [drawn(rows, "front", { color: rows.map((i) => at(data.front, state.colour, i)), colorscale: "Cividis", colorbar: bar }), ...shapeKey()];
}

// What the shapes say, where the colours say something else.
function shapeKey() {
  if (counts.length < 2) return [];
  return counts.map((gpus) => ({ type: "scatter", mode: "markers", name: short(gpus) + " GPUs", x: [null], y: [null], hoverinfo: "skip",
    marker: { symbol: shape(gpus), size: 9, color: theme().line } }));
}

function errors(plan, name) {
  if (plan[name + "_low"] === undefined) return { visible: false };
  return { type: "data", symmetric: false, array: [plan[name + "_high"] - plan[name]], arrayminus: [plan[name] - plan[name + "_low"]], thickness: 1.6, width: 5 };
}

function markTraces() {
  return data.marks.map((mark) => ({
    type: "scatter", mode: "markers", name: quoted(mark.name), x: [mark.plan[state.x]], y: [mark.plan[state.y]],
    error_x: { ...errors(mark.plan, state.x), color: mark.colour }, error_y: { ...errors(mark.plan, state.y), color: mark.colour },
    hoverinfo: "text", hovertext: [hover(mark.name, (name) => mark.plan[name], mark.misses)],
    marker: { color: mark.colour, symbol: mark.symbol, size: mark.size, line: { color: theme().ink, width: 1.2 } },
  }));
}

// Of markers in one place Plotly shows the smallest one's text: without these, that of another plan of the front.
function markTargets() {
  return {
    type: "scatter", mode: "markers", name: "marks", showlegend: false, hoverinfo: "text",
    x: data.marks.map((m) => m.plan[state.x]), y: data.marks.map((m) => m.plan[state.y]),
    hovertext: data.marks.map((m) => hover(m.name, (name) => m.plan[name], m.misses)), marker: { size: 6, opacity: 0 },
  };
}

function selectedTrace() {
  if (state.selected === null) return [];
  return [points(data.front, [state.selected], "looked at", { hoverinfo: "skip", marker: { symbol: "circle-open", size: 24, color: theme().ink, line: { width: 2.5 } } })];
}

// As far as the front, the marked plans and the first one's interval reach: what lies far away must not squeeze them.
function reach(name, log) {
  const found = data.marks.flatMap((m, n) => n ? [m.plan[name]] : [m.plan[name], m.plan[name + "_low"], m.plan[name + "_high"]]).filter((v) => v != null);
  for (let i = 0; i < data.front.size; i++) found.push(at(data.front, name, i));
  const usable = log ? found.filter((v) => v > 0).map(Math.log10) : found;
  if (usable.length === 0) return undefined;
  const low = Math.min(...usable), high = Math.max(...usable);
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - (!log && low >= 0 ? Math.min(room, low) : room), high + room];
}

function drawScatter() {
  const axis = (name, log) => ({
    title: { text: quoted(columns.get(name).title), standoff: 10 }, type: log ? "log" : "linear",
    range: reach(name, log), automargin: true,
  });
  const narrow = window.innerWidth < 600;
  const layout = {
    ...style(), height: narrow ? 700 : 660, hovermode: "closest", xaxis: { ...axisLook(), ...axis(state.x, state.logX) },
    yaxis: { ...axisLook(), ...axis(state.y, state.logY) }, margin: { l: 60, r: narrow ? 10 : 20, t: 16, b: narrow ? 250 : 150 },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: narrow ? 11 : 13 } },
    uirevision: [state.x, state.y, state.logX, state.logY].join(" "),
  };
  const traces = [...cloudTraces(), ...frontTraces(), ...markTraces(), ...selectedTrace(), markTargets()];
  return Plotly.react("scatter", traces, layout, CONFIG);
}

function clicks(select) {
  document.getElementById("scatter").on("plotly_click", (event) => {
    const point = event.points[0];
    if (typeof point.customdata === "number") select(point.customdata);
  });
}
