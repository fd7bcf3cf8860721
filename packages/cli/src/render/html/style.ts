/**
 * Colours and type of the page and of the picture, in light and dark.
 *
 * One hue says quality (deeper is better), one accent says "chosen"; all else is ink and hairline.
 */
const LIGHT = `
  --paper:#fdfdfb; --card:#f6f6f2; --ink:#1d2023; --soft:#646b72; --hair:#e3e4de; --axis:#a9aea9;
  --accent:#b9480f; --good:#22703f; --bad:#b3261e; --warn:#8a5a00; --out:#b3261e0d;
  --q0:#d6e6e3; --q1:#a5cdc7; --q2:#6cafa7; --q3:#358c83; --q4:#0d5f58;`;
const DARK = `
  --paper:#15181a; --card:#1d2124; --ink:#e6e8e6; --soft:#98a19f; --hair:#2c3235; --axis:#59615f;
  --accent:#ff9b66; --good:#7fce9a; --bad:#ff8a80; --warn:#e3b55b; --out:#ff8a8012;
  --q0:#274340; --q1:#2f625d; --q2:#418a82; --q3:#66b8af; --q4:#a6e8e0;`;

const PICTURE_RULES = `
.paper{fill:var(--paper)}
text{font:12px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--ink)}
text.tick,text.name,text.bound-name{fill:var(--soft);font-variant-numeric:tabular-nums}
text.name{fill:var(--ink);font-weight:600}
text.chosen,text.chosen-figures,text.bound-name{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
text.chosen{fill:var(--accent);font-weight:700}
.grid{stroke:var(--hair);stroke-width:1}
.axis{stroke:var(--axis);stroke-width:1}
.bound{stroke:var(--bad);stroke-width:1.25;stroke-dasharray:5 4;opacity:.75}
.out{fill:var(--out)}
.q{stroke:var(--paper);stroke-width:1}
.q0{fill:var(--q0);stroke:var(--q2)}.q1{fill:var(--q1)}.q2{fill:var(--q2)}.q3{fill:var(--q3)}.q4{fill:var(--q4)}
.unknown{fill:none;stroke:var(--soft);stroke-width:1.5;stroke-dasharray:2.5 2}
.ring{fill:none;stroke:var(--accent);stroke-width:2.25}
`;

/** For a picture that stands alone. */
export const PICTURE_STYLE = `:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
${PICTURE_RULES}`;

export const PAGE_STYLE = `:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
main{max-width:920px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:25px;line-height:1.25;margin:0 0 6px;font-weight:650;letter-spacing:-.01em}
h2{font-size:16px;margin:44px 0 12px;font-weight:650}
h3{font-size:14.5px;margin:26px 0 6px;font-weight:650}
p{margin:0 0 10px}
.soft,.sub{color:var(--soft)}
.sub{margin:0}
.option{overflow-wrap:anywhere}
code,.option{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.figures{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin:28px 0 0;padding:0}
.figures div{background:var(--card);border-radius:8px;padding:13px 15px 12px}
.figures dt{color:var(--soft);font-size:13px}
.figures dd{margin:0;font-size:13px;color:var(--soft);font-variant-numeric:tabular-nums}
.figures dd.big{font-size:22px;line-height:1.35;color:var(--ink);font-weight:600}
.kept{color:var(--good)}.broken{color:var(--bad)}.open{color:var(--warn)}
figure{margin:0}
figcaption{color:var(--soft);font-size:13px;margin-top:8px}
svg{display:block;width:100%;height:auto}
svg.narrow{display:none}
.scroll{overflow-x:auto;margin-bottom:22px}
.scroll svg{margin:0 auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th{font-weight:500;color:var(--soft);text-align:left;font-size:12.5px}
th,td{padding:6px 13px 6px 0;border-bottom:1px solid var(--hair);vertical-align:top}
th:last-child,td:last-child{padding-right:0}
strong.name{white-space:nowrap}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tr.aside td{color:var(--soft)}
.code{white-space:nowrap;color:var(--warn)}
.win{color:var(--soft)}
.chosen-option{color:var(--accent)}
details{margin-top:8px}
summary{cursor:pointer;color:var(--soft);font-size:13.5px}
sup a{color:var(--soft);text-decoration:none;padding:0 2px}
ol.notes,ul.notes{padding-left:22px;color:var(--soft);font-size:13px;margin:0}
.box{fill:var(--card);stroke:var(--hair)}
.box.deferred{stroke-dasharray:5 4;stroke:var(--axis)}
.edge{fill:none;stroke:var(--axis);stroke-width:1.25}
.head{fill:var(--axis)}
text.step{font-weight:650;font-size:13px}
text.knobs,text.mark,text.time,text.input{fill:var(--soft)}
text.mark{font-style:italic}
.point{outline:none;cursor:default}
.point:hover .q,.point:focus .q{stroke:var(--ink);stroke-width:1.75}
#tip{position:fixed;z-index:1;max-width:min(340px,92vw);padding:8px 11px;border-radius:6px;background:var(--ink);color:var(--paper);font-size:12.5px;line-height:1.45;pointer-events:none;white-space:pre-line;opacity:0;transition:opacity .1s}
#tip.on{opacity:1}
${PICTURE_RULES}
@media (max-width:640px){
 main{padding:24px 16px 48px}
 h1{font-size:21px}
 .figures{grid-template-columns:1fr 1fr;gap:8px}
 .figures dd.big{font-size:18px}
 svg.wide{display:none}svg.narrow{display:block}
 table.cards thead{display:none}
 table.cards tr{display:block;padding:8px 0;border-bottom:1px solid var(--hair)}
 table.cards td{display:block;border:0;padding:1px 0;text-align:left}
 table.cards td[data-name]::before{content:attr(data-name) " ";color:var(--soft);display:inline-block;min-width:86px}
}
@media print{#tip{display:none}}
`;

/** The only script: a tip beside the pointer or the focused point. Reads text, writes text. */
export const PAGE_SCRIPT = `
const tip = document.getElementById("tip");
for (const point of document.querySelectorAll(".point")) {
  const title = point.querySelector("title");
  const words = title.textContent;
  title.remove();
  point.setAttribute("aria-label", words);
  const show = () => {
    const box = point.getBoundingClientRect();
    tip.textContent = words;
    tip.className = "on";
    const left = Math.min(box.right + 8, innerWidth - tip.offsetWidth - 8);
    const below = box.bottom + 8;
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = (below + tip.offsetHeight > innerHeight ? box.top - tip.offsetHeight - 8 : below) + "px";
  };
  const hide = () => { tip.className = ""; };
  point.addEventListener("pointerenter", show);
  point.addEventListener("pointerleave", hide);
  point.addEventListener("focus", show);
  point.addEventListener("blur", hide);
}
addEventListener("scroll", () => { tip.className = ""; }, { passive: true });
`;
