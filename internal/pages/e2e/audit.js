// Looks a page over, and returns what is wrong with it: what a visitor with a screen reader, a keyboard or weak eyes would
// stumble over, and what a strict policy of content forbids.
(() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const what = (e) => e.outerHTML.slice(0, 90);
  const need = (ok, text) => { if (!ok) wrong.push(text); };

  need(document.documentElement.lang, "the page says no language");
  need(document.title.trim(), "the page has no title");
  need(all("h1").length === 1, `${all("h1").length} headings of the first level`);
  need(all("main").length === 1, "there is not exactly one main");
  const stray = [...document.body.children].filter((e) => !e.matches("main, header, footer, nav, aside, script, .skip"));
  need(stray.length === 0, `outside of any landmark: ${stray.map(what)}`);
  let level = 1;
  for (const h of all("h1, h2, h3, h4")) {
    const is = Number(h.tagName[1]);
    need(is <= level + 1, `heading skips a level: ${what(h)}`);
    level = is;
  }

  const ids = all("[id]").map((e) => e.id);
  need(new Set(ids).size === ids.length, `an id is there twice: ${ids.filter((id, i) => ids.indexOf(id) !== i)}`);
  for (const name of ["aria-labelledby", "aria-describedby", "for", "aria-controls"]) {
    for (const e of all(`[${name}]`)) {
      for (const id of e.getAttribute(name).split(/\s+/)) need(document.getElementById(id), `${name} names nothing: ${what(e)}`);
    }
  }
  for (const e of all("input:not([type=hidden]), select, textarea")) {
    need(e.labels.length > 0 || e.ariaLabel, `no label: ${what(e)}`);
  }
  for (const e of all("button, a[href], summary")) need((e.ariaLabel || e.textContent).trim(), `no name: ${what(e)}`);
  const named = new Map();
  for (const e of all("a[href]")) {
    const name = (e.ariaLabel || e.textContent).trim();
    if (named.has(name)) need(named.get(name) === e.href, `links of one name lead apart: ${name}`);
    named.set(name, e.href);
  }
  for (const e of all("section")) need(e.ariaLabel || e.hasAttribute("aria-labelledby"), `a section without a name: ${what(e)}`);
  for (const e of all("th")) need(e.scope, `a head of neither row nor column: ${what(e)}`);
  for (const e of all("svg, img")) need(e.ariaLabel || e.alt !== undefined || e.hasAttribute("aria-hidden") || e.hasAttribute("aria-labelledby"), `a picture without words: ${what(e)}`);
  for (const e of all("[tabindex]")) need(Number(e.tabIndex) <= 0, `a place in the order of its own: ${what(e)}`);
  for (const e of all("[aria-invalid]")) need(e.hasAttribute("aria-describedby"), `wrong, and not said why: ${what(e)}`);

  for (const e of all("script")) need(e.src && !e.textContent.trim(), `a script in the page: ${what(e)}`);
  need(all("style, [style]").length === 0, "style in the page");
  for (const e of all("*")) for (const a of e.attributes) need(!a.name.startsWith("on"), `a handler in the page: ${what(e)}`);
  for (const r of performance.getEntriesByType("resource")) need(new URL(r.name).origin === location.origin, `loaded from elsewhere: ${r.name}`);
  for (const f of all("form[method=post]")) need(f.querySelector("input[name=form]") || f.dataset.token, `a form without a token: ${what(f)}`);

  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0;
  const parse = (c) => (c.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const f = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  for (const e of all("body *")) {
    if (e.closest("svg, .hidden, script") || !shown(e) || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(parse(style.color), ground(e));
    need(ratio >= (large ? 3 : 4.5), `contrast ${ratio.toFixed(2)}: ${what(e)}`);
  }
  for (const e of all("button, .button, input:not([type=hidden]), select, summary")) {
    if (shown(e)) need(e.getBoundingClientRect().height >= 24, `too small to touch: ${what(e)}`);
  }
  const root = document.documentElement;
  need(root.scrollWidth <= root.clientWidth, `wider than the screen: ${root.scrollWidth} of ${root.clientWidth}: ` +
    all("body *").filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.parentElement.closest(".wide")).slice(0, 3).map(what));
  return wrong;
})()
