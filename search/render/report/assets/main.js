// Put the page together.

function select(i) {
  state.selected = state.selected === i ? null : i;
  drawScatter();
  drawTable(select);
  drawPlan();
}

function refilter() {
  if (state.selected !== null && !passes(row(data.front, state.selected))) {
    state.selected = null;
    drawPlan();
  }
  drawScatter();
  drawTable(select);
  say();
}

document.documentElement.classList.add("scripted");
controls(() => { drawScatter(); say(); }, refilter);
columnChecks(() => drawTable(select));
standings();
say();
drawTable(select);
drawPlan();
comparing();
copying();
const drawn = [drawScatter(), ...Object.keys(data.pictures).map(drawPicture)];
Promise.all(drawn).then(() => {
  clicks(select);
  printable();
  darkness.addEventListener("change", restyled);
  document.documentElement.dataset.ready = "yes";
});
