/**
 * The source of a module, with line numbers, and the line that has failed.
 */

import {html, useEffect, useRef, useState} from "../vendor/htm-preact.js";
import {visibleLines} from "../values.js";
import {MOST_ROWS} from "./table.js";
import {Text} from "./text.js";

const KEYWORDS = new Set(
  `False None True and as assert async await break case class continue def del elif else except
  finally for from global if import in is lambda match nonlocal not or pass raise return try while
  with yield`.split(/\s+/),
);
const TOKEN =
  /(#.*)|("""|''')|([rbfuRBFU]{0,2}"(?:\\.|[^"\\])*"?|[rbfuRBFU]{0,2}'(?:\\.|[^'\\])*'?)|(@[\w.]+)|(\b\d[\w.]*)|([A-Za-z_]\w*)/g;

function* tokens(line, quote) {
  let end = 0;
  if (quote.open) {
    const close = line.indexOf(quote.open);
    if (close < 0) {
      yield ["string", line];
      return;
    }
    end = close + 3;
    quote.open = null;
    yield ["string", line.slice(0, end)];
  }
  TOKEN.lastIndex = end;
  for (let match = TOKEN.exec(line); match; match = TOKEN.exec(line)) {
    if (match.index > end) yield [null, line.slice(end, match.index)];
    end = match.index + match[0].length;
    if (match[2]) {
      const close = line.indexOf(match[2], end);
      if (close < 0) quote.open = match[2];
      end = close < 0 ? line.length : close + 3;
      TOKEN.lastIndex = end;
      yield ["string", line.slice(match.index, end)];
    } else if (match[1]) yield ["comment", match[0]];
    else if (match[3]) yield ["string", match[0]];
    else if (match[4]) yield ["decorator", match[0]];
    else if (match[5]) yield ["number", match[0]];
    else yield [KEYWORDS.has(match[6]) ? "keyword" : null, match[6]];
  }
  if (end < line.length) yield [null, line.slice(end)];
}

/**
 * Returns the lines of a Python source, each a list of `[kind, text]`.
 *
 * @param {string} text
 * @returns {[string | null, string][][]}
 */
export function pythonLines(text) {
  const quote = {open: null};
  return text.split("\n").map((line) => [...tokens(line.slice(0, 2000), quote)]);
}

function Reason({text}) {
  return html`<div class="why-failed">
    <span aria-hidden="true">▲ </span>failed here: <${Text} text=${text} most=${300} />
  </div>`;
}

function Line({number, parts, isFailing, isRule, reason}) {
  const name = `line${isFailing ? " failing" : ""}${isRule ? " of-rule" : ""}`;
  const code = parts.map(([kind, text]) =>
    kind ? html`<span class=${`py-${kind}`}>${text}</span>` : text,
  );
  return html`<div class=${name} data-line=${number} id=${isFailing ? "failing-line" : undefined}>
    <code>${code}${parts.length ? "" : " "}</code>
    ${isFailing && html`<${Reason} text=${reason ?? ""} />`}
  </div>`;
}

/**
 * A source, at most 500 lines of it, around the line of the rule.
 *
 * @param {{text: string, line?: number | null, ruleLine?: number | null, reason?: string}} properties
 *   `line`: the one that failed, from 1; `ruleLine`: that of the rule; `reason`: the error.
 */
export function Source({text, line, ruleLine, reason}) {
  const lines = pythonLines(visibleLines(text).replace(/\n$/, ""));
  const first = Math.max(0, (line ?? ruleLine ?? 1) - MOST_ROWS / 2);
  const [from, setFrom] = useState(first);
  const element = useRef(null);
  useEffect(() => {
    // The line of the rule near the top of the box; the page itself does not scroll.
    const box = element.current;
    const target = box.querySelector(line ? ".failing" : ".of-rule");
    if (target) box.scrollTop = Math.max(0, target.offsetTop - box.offsetTop - 60);
  }, [line, ruleLine]);
  const shown = lines.slice(from, from + MOST_ROWS);
  const to = from + shown.length;
  const more = (line, text) =>
    html`<button type="button" class="link" onClick=${() => setFrom(Math.max(0, line))}>${text}</button>`;
  return html`<div>
    ${from > 0 && more(from - MOST_ROWS, `Lines before ${from + 1}`)}
    <div
      class="code source"
      ref=${element}
      tabindex="0"
      role="region"
      aria-label="Lines of the source"
    >
      ${shown.map((parts, index) => {
        const number = from + index + 1;
        return html`<${Line}
          key=${number}
          ...${{number, parts, reason, isFailing: number === line, isRule: number === ruleLine}}
        />`;
      })}
    </div>
    ${to < lines.length && more(to, `Lines after ${to}`)}
  </div>`;
}
