// Makes elements. Strings become text nodes: no value is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

export function element(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

export function svgElement(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") listen(node, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value != null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== ""));
  return node;
}

function listen(node, listeners) {
  for (const [event, listener] of Object.entries(listeners)) node.addEventListener(event, listener);
}

const LINE = 40;
const CONTROL = /[\u0000-\u001f\u2028\u2029]+/g;

// A name that somebody chose: <bdi> keeps its writing direction from its surroundings.
export function named(text, length = 80) {
  const shown = shortened(text, length);
  return element(
    "bdi",
    { class: length <= LINE ? "line" : null, title: shown === text ? null : shortened(text, 1000) },
    shown,
  );
}

// A line of text, which has no control characters, cut to a length.
export function shortened(words, length) {
  const text = words.replace(CONTROL, " ");
  const characters = text.length > length ? Array.from(text.slice(0, 2 * length)) : [];
  return characters.length > length ? `${characters.slice(0, length - 1).join("")}…` : text;
}

export function section(title, ...children) {
  return element("section", {}, element("h2", {}, title), ...children);
}

// A link to another site, or the text alone where the address is none that a browser may open.
export function outside(url, text) {
  if (!/^https?:\/\//.test(url ?? "")) return null;
  return element("a", { href: url, rel: "noreferrer", class: "outside" }, text);
}

export function route(...parts) {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}
