// Light or dark, as the reader's system has it; paper is light.

const darkness = matchMedia("(prefers-color-scheme: dark)");
let onPaper = false;

function theme() {
  return darkness.matches && !onPaper
    ? { ink: "#E6E9ED", edge: "#15181C", grid: "#30363D", line: "#6B737D", tip: "#1F242A", far: "#5C646E", near: "#8D949E", lines: "#56B4E9" }
    : { ink: "#1B1F24", edge: "#ffffff", grid: "#E4E7EB", line: "#8D949E", tip: "#ffffff", far: "#B9BFC7", near: "#8D949E", lines: "#0072B2" };
}
