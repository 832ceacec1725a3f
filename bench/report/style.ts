/** Colours per peer, light and dark: chosen to be told apart with any colour vision, on both grounds. */
const COLOURS: Record<string, [light: string, dark: string]> = {
  bare: ["#6b7280", "#9aa3af"],
  "bare-json": ["#6b7280", "#9aa3af"],
  roomcast: ["#d9480f", "#ff8a4c"],
  jetstream: ["#6b7280", "#9aa3af"],
  "nats-broker": ["#a16207", "#e0b44c"],
  "roomcast-nats": ["#b03a6f", "#f283b2"],
  "roomcast-nats-2": ["#7a2e8e", "#cf8be6"],
  ws: ["#1971c2", "#5cb0f5"],
  socketio: ["#7048a8", "#b794f0"],
  centrifugo: ["#2b8a3e", "#6fce82"],
};

const names = Object.keys(COLOURS);
const variables = (index: 0 | 1): string =>
  names.map((name) => `--c-${name}:${COLOURS[name]![index]}`).join(";");
const classes = names
  .map(
    (name) =>
      `.p-${name}{stroke:var(--c-${name})}.b-${name}{fill:var(--c-${name})}.t-${name}{fill:var(--c-${name});color:var(--c-${name})}`,
  )
  .join("");

const LIGHT = `--ground:#faf9f6;--card:#fff;--ink:#1c1f26;--quiet:#5a6170;--rule:#e3e1da;--faint:#efede7;--accent:#d9480f;--bad:#b42318;${variables(0)}`;
const DARK = `--ground:#12141a;--card:#1a1d25;--ink:#eceef2;--quiet:#a0a8b8;--rule:#333846;--faint:#252935;--accent:#ff8a4c;--bad:#ff8078;${variables(1)}`;

/** The report's style sheet; light or dark as the reader's system says. */
export const STYLE = `
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1040px;margin:0 auto;padding:56px 28px 80px}
header p{color:var(--quiet);margin:.3em 0 0;max-width:68ch}
h1{font-size:40px;line-height:1.1;letter-spacing:-.02em;margin:0}
h2{font-size:24px;letter-spacing:-.01em;margin:56px 0 6px}
h3{font-size:17px;margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(215px,1fr));gap:14px;margin:32px 0 0}
.tile{background:var(--card);border:1px solid var(--rule);border-radius:12px;padding:18px 20px}
.tile b{display:block;white-space:nowrap;font-size:29px;line-height:1.15;letter-spacing:-.02em;color:var(--accent);font-variant-numeric:tabular-nums}
.tile span{color:var(--quiet);font-size:14px;line-height:1.4;display:block;margin-top:4px}
figure{margin:18px 0 0;background:var(--card);border:1px solid var(--rule);border-radius:14px;padding:22px 26px 20px}
figcaption p{margin:2px 0 14px;color:var(--quiet);font-size:14px}
svg{display:block;width:100%;height:auto;overflow:visible;font-family:inherit}
.grid{stroke:var(--rule);stroke-width:1}.faint{stroke:var(--faint)}
.ideal{stroke:var(--quiet);stroke-width:1;stroke-dasharray:2 5}
.tick,.axis{fill:var(--quiet);font-size:12px}.middle{text-anchor:middle}.end{text-anchor:end}
.name{font-size:13px;font-weight:600}.value{fill:var(--ink);font-size:13px;font-variant-numeric:tabular-nums}.small{font-size:11.5px}
.block{fill:var(--quiet);font-size:13px}
.curve{fill:none;stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}.behind{stroke-dasharray:7 6}
.hollow{fill:var(--card);stroke-width:2.5}
.beam{stroke-width:7;stroke-linecap:round}.thin{stroke-width:3}
.whisker{stroke:var(--ink);stroke-width:1.5;opacity:.55}
${classes}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--rule);border-radius:14px;margin-top:18px;padding:6px 20px 12px}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:12px 0 6px}
th{text-align:right;color:var(--quiet);font-weight:500;padding:4px 0 4px 18px;border-bottom:1px solid var(--rule);white-space:nowrap}
td{text-align:right;padding:5px 0 5px 18px;border-bottom:1px solid var(--faint);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
td:first-child{font-weight:600}
tr:last-child td{border-bottom:0}
small{color:var(--quiet);font-size:12px}td small{display:block;line-height:1.2;font-weight:400}td{vertical-align:top}
.why{white-space:normal;text-align:left;color:var(--quiet);font-size:12.5px}
.failed{color:var(--bad);font-weight:600}
ul{padding-left:1.2em;color:var(--quiet)}li{margin:.25em 0}
@media print{main{padding:0}figure,.scroll,.tile{break-inside:avoid}}
`;
