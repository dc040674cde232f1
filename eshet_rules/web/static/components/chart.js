/**
 * The history of a path: a chart of numbers and switches, and its points as a table.
 */

import {html, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {address} from "../api.js";
import {chartNumber} from "../values.js";
import {Table} from "./table.js";
import {Value} from "./text.js";
import {Clock} from "./time.js";

const HEIGHT = 220; // px
const MOST_POINTS_IN_TABLE = 100;

let loading = null;

// uPlot is a classic script, which is a third of the size of its module. It and its style are
// only loaded where a chart is.
function loadPlot() {
  loading ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = new URL("../vendor/uplot.css", import.meta.url);
    const script = document.createElement("script");
    script.src = new URL("../vendor/uplot.js", import.meta.url);
    script.onload = () => resolve(window.uPlot);
    script.onerror = () => reject(new Error(`can't load ${address("").host}/…/uplot.js`));
    document.head.append(style, script);
  });
  return loading;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function series(points, until) {
  const times = [];
  const numbers = [];
  for (const [time, value, known] of points) {
    times.push(Date.parse(time) / 1000);
    numbers.push(known ? chartNumber(value) : null);
  }
  if (times.length && until > times.at(-1)) {
    times.push(until); // the last value lasts
    numbers.push(numbers.at(-1));
  }
  return [times, numbers];
}

const two = (number) => String(number).padStart(2, "0");

function timeLabels(plot, splits, _axis, _space, step) {
  return splits.map((each) => {
    const date = new Date(each * 1000);
    if (step >= 86_400) return `${date.getMonth() + 1}/${date.getDate()}`;
    const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return step < 60 ? `${time}:${two(date.getSeconds())}` : time;
  });
}

function options(uPlot, width, kind, from, to) {
  const axis = {
    stroke: colour("--muted"),
    grid: {stroke: colour("--line"), width: 1},
    ticks: {show: false},
    font: "12px system-ui, sans-serif",
  };
  const isSwitch = kind === "bool";
  return {
    width,
    height: isSwitch ? 100 : HEIGHT,
    legend: {show: false},
    cursor: {y: false, points: {size: 7}, drag: {x: false, y: false}},
    scales: {
      x: {time: true, range: () => [from, to]},
      y: isSwitch ? {range: () => [-0.15, 1.15]} : {},
    },
    axes: [
      {...axis, size: 28, values: timeLabels},
      {
        ...axis,
        size: 52,
        ...(isSwitch ? {splits: () => [0, 1], values: () => ["false", "true"]} : {}),
      },
    ],
    series: [
      {},
      {
        stroke: colour("--accent"),
        fill: colour("--accent-faint"),
        width: 1.5,
        paths: uPlot.paths.stepped({align: 1}),
        points: {show: false},
      },
    ],
  };
}

function Plot({points, kind, from, to, label}) {
  const element = useRef(null);
  const [error, setError] = useState("");
  const [scheme, setScheme] = useState(0);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const again = () => setScheme((number) => number + 1);
    dark.addEventListener("change", again);
    return () => dark.removeEventListener("change", again);
  }, []);
  useEffect(() => {
    let plot = null;
    let isOver = false;
    const size = new ResizeObserver(() => {
      const width = element.current.clientWidth;
      if (plot && width && width !== plot.width) plot.setSize({width, height: plot.height});
    });
    loadPlot().then(
      (uPlot) => {
        if (isOver) return;
        plot = new uPlot(
          options(uPlot, element.current.clientWidth, kind, from, to),
          series(points, to),
          element.current,
        );
        size.observe(element.current);
      },
      (failure) => setError(failure.message),
    );
    return () => {
      isOver = true;
      size.disconnect();
      plot?.destroy();
    };
  }, [points, kind, from, to, scheme]);
  if (error) return html`<p class="failure">${error}</p>`;
  return html`<div class=${`chart ${kind}`} role="img" aria-label=${label} ref=${element}></div>`;
}

/**
 * A history as a chart, if its values are numbers or true and false, and as a table.
 *
 * @param {{history: object, from: number, to: number, path: string}} properties `history`: an
 *   answer of `api/1/history`; `from`, `to`: seconds since 1970.
 */
export function History({history, from, to, path}) {
  const {points, kind} = history;
  if (!points.length) return html`<p class="empty">The trail has no values of this time.</p>`;
  const isDrawn = kind !== "text";
  const rows = [...points].reverse().slice(0, MOST_POINTS_IN_TABLE);
  const columns = [
    {
      key: "time",
      title: "Time",
      class: "tight",
      isHeader: true,
      cell: ([time]) => html`<${Clock} time=${time} />`,
    },
    {
      key: "value",
      title: "Value",
      class: "grow",
      cell: ([, value, known]) => html`<${Value} value=${value} known=${known} />`,
    },
  ];
  const table = html`<${Table}
    caption=${`Values of ${path}`}
    columns=${columns}
    rows=${rows}
    rowKey=${([time]) => time}
  />`;
  return html`<div>
    ${isDrawn && html`<${Plot} ...${{points, kind, from, to}} label=${`Chart of ${points.length} values; the table below has the same`} />`}
    ${
      isDrawn
        ? html`<details>
            <summary>${rows.length === 1 ? "The last value" : `The last ${rows.length} values`} as a table</summary>
            ${table}
          </details>`
        : table
    }
    ${history.truncated && html`<p class="note">The trail has too many records of this time: earlier values are left out.</p>`}
  </div>`;
}
