// How every picture looks, and the pictures that come with the page.

const CONFIG = { responsive: true, displaylogo: false, scrollZoom: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], displayModeBar: false };
const AXIS = { gridcolor: "#E4E7EB", linecolor: "#8D949E", zerolinecolor: "#C3C8CF", ticks: "outside", tickcolor: "#C3C8CF" };

function style() {
  const family = getComputedStyle(document.body).fontFamily;
  return {
    font: { family, size: 13, color: "#1B1F24" },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { align: "left", bgcolor: "#ffffff", bordercolor: "#8D949E", font: { family, color: "#1B1F24", size: 12.5 } },
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
    xaxis: { ...AXIS, ...xaxis }, yaxis: { ...AXIS, ...yaxis },
  };
  if (title) layout.title = { ...title, x: 0, xanchor: "left", font: { size: 15 }, pad: { l: 4 } };
  return Plotly.newPlot(id, picture.data, layout, CONFIG);
}

// Paper is narrower than most screens: pictures are drawn again for it, and again afterwards.
const PAPER_WIDTH = 690, HALF_WIDTH = 340;

function printable() {
  const places = [...Object.keys(data.pictures)].map((id) => document.getElementById(id));
  window.addEventListener("beforeprint", () => {
    for (const place of places) {
      const half = place.parentElement.matches(".many-3, .many-4");
      Plotly.relayout(place, { width: half ? HALF_WIDTH : PAPER_WIDTH, autosize: false });
    }
  });
  window.addEventListener("afterprint", () => {
    for (const place of places) Plotly.relayout(place, { width: null, autosize: true });
  });
}
