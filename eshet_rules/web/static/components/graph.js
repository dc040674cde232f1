/**
 * A graph of a neighbourhood, beside it the same as a list.
 */

import {html, useEffect, useState} from "../vendor/htm-preact.js";
import {get, part} from "../api.js";
import {valueText, visible} from "../values.js";
import {PathLink, RuleLink, pathHref} from "./text.js";
import {Content, Section, useView} from "./view.js";

const MOST_ITEMS = 60;
const LONGEST_LABEL = 34;
const LETTER = 7; // width in px of a letter of the labels
const KINDS = {path: "path", rule: "rule", value: "value", event: "event", output: "output"};

function label(item) {
  const text = visible(item.name);
  return text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL)}…` : text;
}

function hasValue(item) {
  return item.value !== undefined && item.value !== null;
}

function layout(dagre, items, arrows) {
  const graph = new dagre.Graph({multigraph: true});
  graph.setGraph({rankdir: "LR", nodesep: 14, ranksep: 46, marginx: 8, marginy: 8});
  graph.setDefaultEdgeLabel(() => ({}));
  items.forEach((item, index) => {
    graph.setNode(String(index), {width: label(item).length * LETTER + 26, height: 30});
  });
  arrows.forEach(([from, to], index) => graph.setEdge(String(from), String(to), {}, String(index)));
  dagre.layout(graph);
  return graph;
}

function href(item) {
  if (item.kind === "rule") return `#/rules/${part(item.name)}`;
  return item.kind === "path" ? pathHref(item.name) : null;
}

function Shape({kind, width, height}) {
  const [x, y] = [-width / 2, -height / 2];
  if (kind === "path" || kind === "event")
    return html`<rect x=${x} y=${y} width=${width} height=${height} rx=${height / 2} />`;
  if (kind === "output") {
    return html`<path d=${`M${x + 10} ${y}H${-x}L${-x - 10} ${-y}H${x}Z`} />`;
  }
  return html`<rect x=${x} y=${y} width=${width} height=${height} rx="4" />`;
}

function Node({item, place, isCentre}) {
  const inner = html` <title>
      ${visible(item.name)}${hasValue(item) ? ` = ${valueText(item.value)}` : ""}
    </title>
    <${Shape} kind=${item.kind} width=${place.width} height=${place.height} />
    <text dy="0.350em">${label(item)}</text>`;
  const name = `node ${KINDS[item.kind] ?? ""}${isCentre ? " centre" : ""}`;
  const link = href(item);
  // The list beside it has the same links for the keyboard and for screen readers.
  return html`<g class=${name} transform=${`translate(${place.x} ${place.y})`}
    >${link ? html`<a href=${link} tabindex="-1">${inner}</a>` : inner}</g
  >`;
}

function route(points) {
  const [first, ...rest] = points;
  const last = rest.pop();
  const middle = rest.length ? rest[Math.floor(rest.length / 2)] : first;
  return `M${first.x} ${first.y}Q${middle.x} ${middle.y} ${last.x} ${last.y}`;
}

function Drawing({items, arrows, centre}) {
  const [graph, setGraph] = useState(null);
  useEffect(() => {
    let isOver = false;
    import("../vendor/dagre.js").then((dagre) => {
      if (!isOver) setGraph({items, arrows, of: layout(dagre, items, arrows)});
    });
    return () => {
      isOver = true;
    };
  }, [items, arrows]);
  if (!graph) return html`<p class="loading">Drawing…</p>`;
  const {width, height} = graph.of.graph();
  return html`<svg
    class="graph"
    width=${width}
    height=${height}
    viewBox=${`0 0 ${width} ${height}`}
    aria-hidden="true"
  >
    <defs>
      <marker
        id="tip"
        viewBox="0 0 8 8"
        refX="7"
        refY="4"
        markerWidth="7"
        markerHeight="7"
        orient="auto"
      >
        <path d="M0 0L8 4L0 8z" />
      </marker>
    </defs>
    ${graph.of.edges().map((edge) => {
      const isLater = graph.arrows[Number(edge.name)]?.[2];
      return html`<path
        key=${edge.name}
        class=${`edge${isLater ? " later" : ""}`}
        d=${route(graph.of.edge(edge).points)}
        marker-end="url(#tip)"
      />`;
    })}
    ${graph.items.map((item, index) => {
      const place = graph.of.node(String(index));
      return html`<${Node} key=${index} ...${{item, place}} isCentre=${item.name === centre} />`;
    })}
  </svg>`;
}

function Item({item}) {
  if (item.kind === "rule") return html`<${RuleLink} rule=${item.name} />`;
  if (item.kind === "path") return html`<${PathLink} path=${item.name} />`;
  return html`<span class="mono"
    >${label(item)}${hasValue(item) ? ` = ${valueText(item.value)}` : ""}</span
  >`;
}

function List({items, arrows}) {
  const targets = items.map(() => []);
  const sources = items.map(() => 0);
  for (const [from, to, isLater] of arrows) {
    targets[from]?.push([to, isLater]);
    sources[to] += 1;
  }
  const shown = items
    .map((item, index) => ({item, index}))
    .filter(({index}) => targets[index].length || !sources[index]);
  return html`<ul class="graph-list">
    ${shown.map(
      ({item, index}) =>
        html`<li key=${index}>
          <${Item} item=${item} />
          ${
            targets[index].length > 0 &&
            html`<ul>
              ${targets[index].map(
                ([to, isLater]) =>
                  html`<li key=${to}>
                    <span class="faint">${isLater ? "later " : ""}leads to</span>${" "}
                    <${Item} item=${items[to]} />
                  </li>`,
              )}
            </ul>`
          }
        </li>`,
    )}
  </ul>`;
}

/**
 * A graph as a drawing and as a list.
 *
 * @param {{graph: {items: object[], arrows: any[], truncated?: boolean}, centre?: string}} properties
 *   An arrow is `[from, to, later]`, with numbers or names of items; `centre`: the name of the item
 *   to which the others are neighbours.
 */
export function Graph({graph, centre}) {
  const [shown, setShown] = useState(null);
  useEffect(() => {
    const items = graph.items.slice(0, MOST_ITEMS);
    const numbers = new Map(items.map((item, index) => [item.name, index]));
    const number = (end) => (typeof end === "number" ? end : numbers.get(end));
    const arrows = graph.arrows
      .map(([from, to, isLater]) => [number(from), number(to), isLater])
      .filter(([from, to]) => items[from] && items[to]);
    setShown({items, arrows, isCut: graph.truncated || graph.items.length > MOST_ITEMS});
  }, [graph]);
  if (!shown) return null;
  if (!shown.items.length) return html`<p class="empty">Nothing is connected.</p>`;
  return html`<div class="graph-both">
    <div class="graph-box" tabindex="0" role="region" aria-label="Drawing"><${Drawing} ...${shown} centre=${centre} /></div>
    <details class="graph-as-list">
      <summary>The same as a list</summary>
      <${List} ...${shown} />
    </details>
    ${shown.isCut && html`<p class="note">Only the nearest ${shown.items.length} are shown.</p>`}
  </div>`;
}

/**
 * The neighbourhood of a rule or path, and the inside of a rule.
 *
 * @param {{address: string, query?: object, centre: string, version?: string, hasInside?: boolean}}
 *   properties `address`: below `api/1/`, with the arguments `query`; `version`: with another one
 *   the graph is fetched again.
 */
export function GraphSection({address, query, centre, version, hasInside = false}) {
  const [isInside, setInside] = useState(false);
  const load = (signal) => get(address, {...query, inside: isInside ? "1" : ""}, signal);
  const view = useView(load, [address, centre, isInside, version]);
  const button = (inside, text) =>
    html`<button
      type="button"
      aria-pressed=${isInside === inside ? "true" : "false"}
      onClick=${() => setInside(inside)}
    >
      ${text}
    </button>`;
  const side =
    hasInside &&
    html`<div class="segments" role="group" aria-label="Graph">
      ${button(false, "Neighbours")}${button(true, "Inside")}
    </div>`;
  return html`<${Section} title="Graph" side=${side}>
    <${Content} view=${view}>${(graph) => html`<${Graph} graph=${graph} centre=${centre} />`}<//>
  <//>`;
}
