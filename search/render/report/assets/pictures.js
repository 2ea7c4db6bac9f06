// How every picture looks, and the pictures that come with the page.

const CONFIG = { responsive: true, displaylogo: false, scrollZoom: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], displayModeBar: false };

function axisLook() {
  const { grid, line } = theme();
  // A tick between two decades says its whole value: "20", where Plotly alone would write "2".
  return { gridcolor: grid, linecolor: line, zerolinecolor: line, ticks: "outside", tickcolor: line, minorloglabels: "complete" };
}

function style() {
  const family = getComputedStyle(document.body).fontFamily, look = theme();
  return {
    font: { family, size: 13, color: look.ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { align: "left", bgcolor: look.tip, bordercolor: look.line, font: { family, color: look.ink, size: 12.5 } },
    // A finger that scrolls the page must not zoom a picture.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    transition: { duration: 0 },
  };
}

function drawPicture(id) {
  const picture = data.pictures[id];
  const { title, xaxis, yaxis, ...rest } = picture.layout;
  const narrow = window.innerWidth < 600;
  const layout = {
    ...style(), margin: { l: 20, r: 14, t: title ? 44 : 26, b: rest.showlegend ? (narrow ? 190 : 110) : 40 }, showlegend: false,
    legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: narrow ? 11 : 12 } }, ...rest,
    xaxis: { ...axisLook(), ...xaxis }, yaxis: { ...axisLook(), ...yaxis },
  };
  // A title that is too long for its place goes on below.
  if (title) layout.title = { ...title, text: wrapped(title.text, narrow ? 38 : 60), x: 0, xanchor: "left", font: { size: narrow ? 14 : 15 }, pad: { l: 4 } };
  if (narrow) {
    layout.yaxis.tickfont = { size: 11 };
    if (xaxis.title) layout.xaxis.title = { ...xaxis.title, text: wrapped(xaxis.title.text, 26), font: { size: 12 } };
  }
  return Plotly.react(id, picture.data, layout, CONFIG);
}

function wrapped(text, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length >= most) lines.push("");
    lines.push((lines.pop() + " " + word).trim());
  }
  return lines.join("<br>");
}

// In other colours, as the theme has changed.
function restyled() {
  drawScatter();
  Object.keys(data.pictures).forEach(drawPicture);
}

// Paper is narrower than most screens: pictures are drawn again for it, and again afterwards.
const PAPER_WIDTH = 690, HALF_WIDTH = 340;

function printable() {
  const places = [...Object.keys(data.pictures)].map((id) => document.getElementById(id));
  window.addEventListener("beforeprint", () => {
    onPaper = true;
    if (darkness.matches) restyled();
    for (const place of places) {
      const half = place.parentElement.matches(".many-3, .many-4");
      Plotly.relayout(place, { width: half ? HALF_WIDTH : PAPER_WIDTH, autosize: false });
    }
  });
  window.addEventListener("afterprint", () => {
    onPaper = false;
    if (darkness.matches) restyled();
    for (const place of places) Plotly.relayout(place, { width: null, autosize: true });
  });
}
