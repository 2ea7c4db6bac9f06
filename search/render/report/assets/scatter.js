// The picture of the plans.

// Okabe and Ito's colours, with a marker each, so that kinds differ without colour too.
const KINDS = [
  ["#56B4E9", "circle"], ["#009E73", "square"], ["#E69F00", "triangle-up"], ["#CC79A7", "diamond"],
  ["#0072B2", "triangle-down"], ["#D55E00", "pentagon"], ["#F0E442", "hexagon"], ["#000000", "cross"],
];
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

function cloudTraces() {
  if (!state.cloud) return [];
  const rows = kept(data.cloud);
  const text = (list) => list.map((i) => hover("scored plan", row(data.cloud, i), at(data.cloud, "misses", i)));
  const missing = rows.filter((i) => at(data.cloud, "misses", i) !== "none");
  const others = rows.filter((i) => at(data.cloud, "misses", i) === "none");
  return [
    points(data.cloud, missing, "misses a limit", { hovertext: text(missing), marker: { color: "#B9BFC7", size: 5, symbol: "x-thin-open", opacity: 0.55 } }),
    points(data.cloud, others, "not on the front", { hovertext: text(others), marker: { color: "#8D949E", size: 5, opacity: 0.4 } }),
  ];
}

function frontTraces() {
  const rows = kept(data.front), column = columns.get(state.colour);
  const text = (i) => hover("front, row " + data.front.row[i], row(data.front, i), "none");
  const kinds = [...new Set(rows.map((i) => at(data.front, state.colour, i)))].sort((a, b) => (typeof a === "number" ? a - b : a < b ? -1 : 1));
  const few = column.kind === "text" || kinds.length <= KINDS.length;
  const line = { color: "#ffffff", width: 0.8 };
  if (few) {
    return kinds.map((kind, n) => {
      const mine = rows.filter((i) => at(data.front, state.colour, i) === kind);
      const [color, symbol] = KINDS[n % KINDS.length];
      const name = "front, " + quoted(column.label + " " + shown(column, kind));
      return points(data.front, mine, name, { hovertext: mine.map(text), customdata: mine, marker: { color, symbol, size: Math.max(13 - 4 * n, 6), line } }); // plans that coincide stay visible
    });
  }
  const bar = { title: { text: quoted(column.title), side: "right" }, thickness: 12, len: 0.9, outlinewidth: 0 };
  return [points(data.front, rows, "front", { hovertext: rows.map(text), customdata: rows, marker: {
    color: rows.map((i) => at(data.front, state.colour, i)), colorscale: "Cividis", colorbar: bar, size: 9, line } })];
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
    marker: { color: mark.colour, symbol: mark.symbol, size: mark.size, line: { color: "#1B1F24", width: 1.2 } },
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
  return [points(data.front, [state.selected], "looked at", { hoverinfo: "skip", marker: { symbol: "circle-open", size: 20, color: "#000000", line: { width: 2.5 } } })];
}

// As far as the front and the marked plans reach: single plans far away must not squeeze them.
function reach(name, log) {
  const found = data.marks.flatMap((m) => [m.plan[name], m.plan[name + "_low"], m.plan[name + "_high"]]).filter((v) => v != null);
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
    ...style(), height: narrow ? 560 : 620, hovermode: "closest", xaxis: { ...AXIS, ...axis(state.x, state.logX) },
    yaxis: { ...AXIS, ...axis(state.y, state.logY) }, margin: { l: 60, r: narrow ? 10 : 20, t: 16, b: 60 },
    legend: { orientation: "h", y: narrow ? -0.22 : -0.16, x: 0, font: { size: narrow ? 11 : 13 } },
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
