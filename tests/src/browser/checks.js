// Takes how wide the medium is, and gives a list of faults.
width => {
  const faults = [];
  const all = selector => [...document.querySelectorAll(selector)];
  const seen = it => it.checkVisibility({ visibilityProperty: true });
  const told = it => it.outerHTML.slice(0, 120);

  if (!document.documentElement.lang) faults.push("the language is not told");
  if (!document.title.trim()) faults.push("the window has no title");
  if (all("main").length !== 1) faults.push("there is not one main part");
  if (all("h1").length !== 1) faults.push("there is not one first heading");
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6").filter(seen)) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) faults.push(`a level is left out before ${told(heading)}`);
    if (!heading.textContent.trim()) faults.push(`an empty heading ${told(heading)}`);
    level = next;
  }

  const ids = all("[id]").map(it => it.id);
  for (const id of ids.filter((id, at) => ids.indexOf(id) !== at)) faults.push(`several are called ${id}`);
  const named = all("a[href^='#']").map(it => decodeURIComponent(it.hash.slice(1)));
  for (const attribute of ["for", "aria-labelledby", "aria-describedby", "aria-controls"]) {
    for (const it of all(`[${attribute}]`)) named.push(...it.getAttribute(attribute).split(/\s+/));
  }
  for (const id of named) if (!ids.includes(id)) faults.push(`nothing is called ${id}`);
  for (const it of all("[tabindex]")) if (it.tabIndex > 0) faults.push(`an order of its own: ${told(it)}`);

  const page = document.scrollingElement;
  if (page.scrollWidth > width) faults.push(`${page.scrollWidth} wide, on ${width}`);
  for (const it of all("body *").filter(seen)) {
    const style = getComputedStyle(it);
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY);
    const larger = it.scrollWidth > it.clientWidth + 1 || it.scrollHeight > it.clientHeight + 1;
    if (scrolls && larger && it.tabIndex < 0) faults.push(`cannot be scrolled by keyboard: ${told(it)}`);
  }

  // No column is narrower than its longest word. Only the long names of AWS may be broken.
  const range = document.createRange();
  for (const cell of all("th, td, dt").filter(seen)) {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      for (const token of texts.currentNode.data.matchAll(/\S+/g)) {
        if (token[0].length > 24) continue;
        for (const word of token[0].matchAll(/[\p{L}\p{N}]+/gu)) {
          const from = token.index + word.index;
          range.setStart(texts.currentNode, from);
          range.setEnd(texts.currentNode, from + word[0].length);
          const lines = new Set([...range.getClientRects()].map(it => Math.round(it.top)));
          if (lines.size > 1) faults.push(`a column breaks ${word[0]}: ${told(cell)}`);
        }
      }
    }
  }
  if (matchMedia("print").matches) {
    for (const it of all(".wide").filter(it => it.scrollWidth > it.clientWidth + 1)) {
      faults.push(`cut off on paper: ${told(it)}`);
    }
  }

  // https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = colour => {
    const [r, g, b] = rgba(colour).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = it => {
    for (; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const parents = new Set();
  while (texts.nextNode()) {
    const parent = texts.currentNode.parentElement;
    if (texts.currentNode.data.trim() && seen(parent)) parents.add(parent);
  }
  for (const it of parents) {
    const style = getComputedStyle(it);
    const colour = it.closest("svg") ? style.fill : style.color;
    const [a, b] = [luminance(colour), luminance(ground(it))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) faults.push(`a contrast of ${contrast.toFixed(2)}: ${told(it)}`);
  }
  return faults;
}
