// Measures a page as the browser has drawn it, and tells the page around it.
addEventListener('load', () => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const isDrawn = element => element.getBoundingClientRect().width > 0;
  const texts = all('svg text').filter(isDrawn);
  const size = text =>
    parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getScreenCTM().a;
  const outside = texts.map(text => text.getBoundingClientRect())
    .filter(place => place.left < -1 || place.right > innerWidth + 1);
  const collide = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 3 && b.top < a.bottom - 3;
  const overlapping = all('svg').flatMap(svg => {
    const own = all('text', svg).filter(isDrawn);
    const places = own.map(text => text.getBoundingClientRect());
    return own.filter((_, i) => places.some((place, j) => j > i && collide(places[i], place)))
      .map(text => text.textContent);
  });
  const charts = all('.chart').filter(chart => all('.key input', chart).length > 0);
  // Not every page has lines that can be switched off.
  const chart = charts[0];
  const lines = chart ? all('svg:not([aria-hidden]) path.line', chart) : [];
  const styles = new Set(lines.map(line => {
    const { stroke, strokeDasharray } = getComputedStyle(line);
    return stroke + strokeDasharray;
  }));
  let switched = null;
  if (chart) {
    const first = chart.querySelector('.key input');
    const before = isDrawn(lines[0]);
    first.click();
    switched = before && !isDrawn(lines[0]);
    first.click();
  }
  const count = selector => all(selector).length;
  parent.postMessage(JSON.stringify({
    name: decodeURI(location.hash.slice(1)),
    width: innerWidth,
    scroll_width: document.documentElement.scrollWidth,
    smallest_text: Math.min(...texts.map(size)),
    outside: outside.length,
    overlapping,
    lines: lines.length,
    flat_lines: lines.filter(line => !isDrawn(line)).length,
    styles: styles.size,
    switched,
    answer: document.querySelector('.answer')?.textContent ?? null,
    titles: all('h2').map(title => title.textContent),
    panels: count('.panel'),
    values: all('title').filter(title => title.textContent.trim() !== '').length,
    bands: count('.band'),
    marks: count('.charts > .chart > svg .mark'),
    parts: count('.row .part'),
    whiskers: count('.whisker'),
    folded: count('details'),
    best: all('.score td').filter(cell => cell.textContent.includes('\u2605')).length,
    background: getComputedStyle(document.body).backgroundColor,
  }), '*');
});
