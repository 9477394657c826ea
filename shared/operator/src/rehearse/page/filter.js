// Filters the list, and draws the time line of what it shows. Text from the data goes into the page as
// text only.
{
  const data = JSON.parse(document.getElementById("data").textContent);
  const get = id => document.getElementById(id);
  const rows = [...get("entries").children];
  const controls = ["function", "outcome", "name", "text"].map(get);
  const [byFunction, byOutcome, byName, byText] = controls;
  const drawing = get("drawing");

  const create = (kind, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const day = seconds => new Date(seconds * 1000).toISOString().slice(0, 10);
  const minute = seconds => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ") + "Z";

  const wanted = entry => {
    const name = byName.value.trim().toLowerCase();
    const words = byText.value.trim().toLowerCase().split(/\s+/);
    return (!byFunction.value || entry.function === byFunction.value)
      && (!byOutcome.value || entry.outcome === byOutcome.value)
      && (!name || entry.names.some(known => known.toLowerCase().includes(name)))
      && words.every(word => entry.text.includes(word));
  };

  const TONES = { contained: "mark", awaits_approval: "mark warn", withheld: "soft", breaker: "mark bad" };
  const HEIGHT = 46, TOP = 18;

  const draw = shown => {
    const width = Math.max(280, drawing.clientWidth);
    const lanes = data.outcomes.filter(([outcome]) => data.entries.some(it => it.outcome === outcome));
    const height = TOP + lanes.length * (HEIGHT + 22) + 24;
    const counts = lanes.map(([outcome, words]) =>
      `${shown.filter(it => it.outcome === outcome).length} ${words}`);
    const svg = create("svg", {
      viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Time line: ${counts.join(", ") || "nothing"}`,
    });
    const parts = Math.max(10, Math.floor(width / 12));
    const span = Math.max(1, data.to - data.from);
    const part = at => Math.min(parts - 1, Math.floor((at - data.from) / span * parts));
    const openings = data.openings
      .filter(it => !byFunction.value || it.function === byFunction.value);
    for (const opening of openings) {
      const x = (opening.at - data.from) / span * (width - 2) + 1;
      const line = create("line", { x1: x, x2: x, y1: 0, y2: height - 22, class: "stroke" });
      line.append(create("title", {}, `the breaker for ${opening.function} opened, ${minute(opening.at)}`));
      svg.append(line);
    }
    lanes.forEach(([outcome, words], lane) => {
      const ground = TOP + lane * (HEIGHT + 22) + HEIGHT + 12;
      const bins = Array(parts).fill(0);
      for (const entry of shown) if (entry.outcome === outcome) bins[part(entry.at)] += 1;
      const most = Math.max(1, ...bins);
      svg.append(create("text", { x: 0, y: ground - HEIGHT - 2 }, counts[lane]));
      svg.append(create("line", { x1: 0, x2: width, y1: ground, y2: ground, class: "stroke" }));
      bins.forEach((count, at) => {
        if (!count) return;
        const high = Math.max(4, count / most * (HEIGHT - 6));
        const bar = create("rect", {
          x: at * width / parts + 1, y: ground - high, width: width / parts - 2, height: high,
          class: TONES[outcome],
        });
        const from = data.from + at * span / parts;
        bar.append(create("title", {}, `${count} ${words}, from ${minute(from)}`));
        svg.append(bar);
      });
    });
    if (data.from !== null) {
      svg.append(create("text", { x: 0, y: height - 4, class: "soft" }, day(data.from)));
      svg.append(create("text",
        { x: width, y: height - 4, class: "soft", "text-anchor": "end" }, day(data.to)));
    }
    drawing.querySelector("svg")?.remove();
    drawing.prepend(svg);
  };

  const show = () => {
    const shown = [];
    data.entries.forEach((entry, index) => {
      const is = wanted(entry);
      rows[index].hidden = !is;
      if (is) shown.push(entry);
    });
    get("count").textContent = `${shown.length} of ${data.entries.length} shown`;
    draw(shown);
  };

  for (const control of controls) control.addEventListener("input", show);
  get("reset").addEventListener("click", () => {
    for (const control of controls) control.value = "";
    show();
    byText.focus();
  });
  let width = drawing.clientWidth;
  addEventListener("resize", () => {
    if (drawing.clientWidth !== width) {
      width = drawing.clientWidth;
      show();
    }
  });
  show();
}
