// The fronts of a sweep's jobs: filter, colour by the keys that vary, cost at a wanted traffic.

const data = JSON.parse(document.getElementById("data").textContent);
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A7F87", "#B8A800"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "hexagon", "cross"];
const AXES = ["gpus", "dp", "pp", "sp", "tp", "ep", "batch"];
const titles = new Map(data.columns.map((c) => [c.name, c.title]));
const groups = [...data.keys, "engine", "job"];
const state = { x: data.start.x, y: data.start.y, colour: groups[0], logX: false, logY: false, equal: {}, rate: null };

function kept() {
  return data.jobs.filter((job) => Object.entries(state.equal).every(([key, value]) => job.keys[key] === value));
}

function groupOf(job, i) {
  if (state.colour === "job") return "job " + job.name;
  return state.colour === "engine" ? job.engine[i] : job.keys[state.colour];
}

function layoutOf(job, i) {
  return AXES.map((axis) => axis + " " + job.plans[axis][i]).join(" ");
}

function said(job, i) {
  const keys = data.keys.map((key) => key + "=" + job.keys[key]).join(" ");
  const figures = data.columns.map((c) => [c, job.figures[c.name][i]]).filter(([, v]) => v !== null)
    .map(([c, v]) => c.label + ": " + short(v) + (c.unit ? " " + c.unit : ""));
  return ["<b>job " + quoted(job.name) + (i === job.best ? ", recommended" : "") + "</b>", quoted(keys), layoutOf(job, i), ...figures.map(quoted)].join("<br>");
}

function interval(job, name) {
  const low = job.figures[name + "_low"], high = job.figures[name + "_high"], at = job.figures[name][job.best];
  if (low === undefined || low[job.best] === null) return { visible: false };
  return { type: "data", symmetric: false, array: [high[job.best] - at], arrayminus: [at - low[job.best]], thickness: 1.4, width: 4 };
}

function traces() {
  const jobs = kept(), look = theme();
  const every = [...new Set(data.jobs.flatMap((job) => job.engine.map((_, i) => groupOf(job, i))))];
  const colour = (group) => COLOURS[every.indexOf(group) % COLOURS.length];
  const symbol = (group) => SYMBOLS[Math.floor(every.indexOf(group) / COLOURS.length + every.indexOf(group)) % SYMBOLS.length];
  const fronts = every.map((group) => {
    const points = jobs.flatMap((job) => job.engine.map((_, i) => [job, i])).filter(([job, i]) => groupOf(job, i) === group);
    return {
      type: "scatter", mode: "markers", name: quoted(state.colour === "job" ? group : state.colour + " " + group), hoverinfo: "text",
      x: points.map(([job, i]) => job.figures[state.x][i]), y: points.map(([job, i]) => job.figures[state.y][i]),
      hovertext: points.map(([job, i]) => said(job, i)),
      marker: { color: colour(group), symbol: symbol(group), size: 8, opacity: 0.85, line: { color: look.edge, width: 0.6 } },
    };
  }).filter((trace) => trace.x.length);
  const best = jobs.map((job) => ({
    type: "scatter", mode: "markers", name: "recommended", showlegend: false, hoverinfo: "text", hovertext: [said(job, job.best)],
    x: [job.figures[state.x][job.best]], y: [job.figures[state.y][job.best]],
    error_x: { ...interval(job, state.x), color: colour(groupOf(job, job.best)) },
    error_y: { ...interval(job, state.y), color: colour(groupOf(job, job.best)) },
    marker: { color: colour(groupOf(job, job.best)), symbol: "star", size: 16, line: { color: look.ink, width: 1.2 } },
  }));
  return [...fronts, ...best];
}

function draw() {
  const narrow = window.innerWidth < 600;
  const axis = (name, log) => ({ ...axisLook(), title: { text: quoted(titles.get(name)), standoff: 10 }, type: log ? "log" : "linear", automargin: true });
  const layout = {
    ...style(), height: narrow ? 620 : 640, hovermode: "closest", xaxis: axis(state.x, state.logX), yaxis: axis(state.y, state.logY),
    margin: { l: 60, r: narrow ? 10 : 20, t: 16, b: narrow ? 180 : 110 },
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: narrow ? 11 : 13 } },
  };
  return Plotly.react("scatter", traces(), layout, CONFIG);
}

function refilter() {
  const names = new Set(kept().map((job) => job.name));
  for (const line of document.querySelectorAll("#jobs tr")) {
    line.hidden = !names.has(line.dataset.job) && data.jobs.some((job) => job.name === line.dataset.job);
  }
  document.getElementById("count").textContent = short(names.size) + " of " + short(data.jobs.length) + " jobs with a plan pass the filter.";
  cost();
  return draw();
}

function controls() {
  const named = data.columns.map((c) => [c.name, c.title]);
  const set = (key) => (value) => { state[key] = value; draw(); };
  const filters = data.keys.map((key, n) => {
    const values = [...new Set(data.jobs.map((job) => job.keys[key]))];
    return choice("filter-" + n, key, [["", "any"], ...values.map((v) => [v, v])], "", (value) => {
      if (value === "") delete state.equal[key];
      else state.equal[key] = value;
      refilter();
    });
  });
  document.getElementById("controls").append(
    element("fieldset", {}, element("legend", {}, "Picture"),
      choice("axis-x", "Across", named, state.x, set("x")), choice("axis-y", "Up", named, state.y, set("y")),
      choice("colour", "Colour", groups.map((g) => [g, g]), state.colour, set("colour")),
      check("log-x", "log across", false, set("logX")), check("log-y", "log up", false, set("logY"))),
    element("fieldset", {}, element("legend", {}, "Filter"), ...filters));
}

// What a plan carries within its limits: at a rate the most that keeps them, else what its closed loop serves.
function capacity(job, i, end) {
  const name = job.figures.max_requests_per_s ? "max_requests_per_s" : "requests_per_s";
  const column = job.figures[name + end] || job.figures[name];
  return column[i];
}

function needed(job, i, rate, end) {
  const each = capacity(job, i, end);
  return each > 0 ? Math.ceil(rate / each - 1e-9) : Infinity;
}

// US dollars an hour of one copy; null without a price.
function hourly(job, i) {
  const million = job.figures.usd_per_million_output_tokens;
  return million && million[i] !== null ? million[i] * job.figures.output_tokens_per_s[i] * 3600 / 1e6 : null;
}

function fleet(job, i, rate) {
  const copies = needed(job, i, rate, ""), price = hourly(job, i);
  return { i, copies, worse: needed(job, i, rate, "_low"), gpus: copies * job.plans.gpus[i], usd: price === null ? null : copies * price };
}

function cheapest(job, rate) {
  const every = job.engine.map((_, i) => fleet(job, i, rate)).filter((f) => Number.isFinite(f.copies));
  const weight = (f) => (f.usd === null ? f.gpus : f.usd);
  return every.reduce((best, f) => (best === null || weight(f) < weight(best) - 1e-9 ? f : best), null);
}

function cost() {
  const table = document.getElementById("cost-table"), rate = state.rate;
  const heads = ["job", ...data.keys, "recommended plan: copies", "GPUs", "USD/h", "cheapest of its front: plan", "copies", "GPUs", "USD/h"];
  const money = (usd) => (usd === null ? "no price" : short(usd));
  const copies = (f) => short(f.copies) + (f.worse > f.copies ? " [" + (Number.isFinite(f.worse) ? short(f.worse) : "never") + "]" : "");
  const found = kept().map((job) => [job, fleet(job, job.best, rate), cheapest(job, rate)]);
  const prices = found.map(([, , f]) => f && f.usd).filter((usd) => usd !== null);
  const least = Math.min(...prices);
  const lines = found.map(([job, own, best]) => {
    const cells = [...data.keys.map((key) => job.keys[key]), copies(own), short(own.gpus), money(own.usd),
      ...(best ? [layoutOf(job, best.i), copies(best), short(best.gpus), money(best.usd)] : ["none", "", "", ""])];
    return element("tr", { class: best && best.usd !== null && best.usd <= least ? "recommended" : null }, element("th", { scope: "row" }, "job " + job.name),
      ...cells.map((text, n) => element("td", { "data-label": heads[n + 1] }, text)));
  });
  table.replaceChildren(element("caption", {}, "At " + short(rate) + " requests/s; the cheapest job stands out"),
    element("thead", {}, element("tr", {}, ...heads.map((h) => element("th", { scope: "col" }, h)))), element("tbody", {}, ...lines));
}

function wanted() {
  const most = Math.max(...data.jobs.map((job) => capacity(job, job.best, "")));
  state.rate = Number((10 * most).toPrecision(1));
  const input = element("input", { type: "number", min: "0", step: "any", id: "rate", inputmode: "decimal", value: String(state.rate) });
  input.addEventListener("input", () => {
    if (Number(input.value) > 0) { state.rate = Number(input.value); cost(); }
  });
  document.getElementById("wanted").append(element("label", { class: "control narrow" }, element("span", {}, "requests/s wanted"), input));
}

document.documentElement.classList.add("scripted");
if (data.jobs.length) {
  controls();
  wanted();
  darkness.addEventListener("change", draw);
  refilter().then(() => { document.documentElement.dataset.ready = "yes"; });
} else {
  document.getElementById("count").textContent = "No job has a plan.";
  document.documentElement.dataset.ready = "yes";
}
