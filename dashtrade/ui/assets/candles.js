// Candles with what a bot did on them: its fills, and while it owns something its entry, its stop, its targets and its max loss.
const SVG = 'http://www.w3.org/2000/svg';
const UP = 'var(--st-green-color)', DOWN = 'var(--st-red-color)';
const COLOURS = { entry: 'var(--st-link-color)', stop: DOWN, target: UP, last: 'var(--st-gray-text-color)', 'risk limit': 'light-dark(#b85c00, #e08a1e)' };
const ORDER = 'var(--st-orange-color)'; // an order that waits: its words are its own

function draw(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, v]) => element.setAttribute(key, v));
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}

const steps = (low, high, most) => {
  const rough = (high - low) / most || 1, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(k => k * size).find(s => s >= rough);
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) found.push(v);
  return found;
};

function paint(box, data) {
  const { candles, trades, levels, height, digits, zone } = data, width = Math.max(box.clientWidth, 260);
  const words = v => v.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const when = (t, options) => new Date(t).toLocaleString(undefined, { timeZone: zone, ...options });
  const axis = Math.max(62, words(candles.at(-1)[4]).length * 7.4 + 12);
  const right = width - axis, bottom = height - 24, top = 10, volumeTop = bottom - (bottom - top) * 0.16;
  let low = Math.min(...candles.map(c => c[3])), high = Math.max(...candles.map(c => c[2]));
  const span = high - low || 1;
  const near = Math.max(span, candles.at(-1)[4] * 0.12);  // what waits a little off a quiet market is shown, too
  levels.forEach(([price]) => { if (price > low - near && price < high + near) { low = Math.min(low, price); high = Math.max(high, price); } });
  const room = (high - low) * 0.06 || 1;
  low -= room; high += room;
  const gap = right / (candles.length + 1), body = Math.max(gap * 0.66, 1);
  const x = i => gap * (i + 0.75), y = v => bottom - ((bottom - top) * (v - low)) / (high - low);
  const svg = document.createElementNS(SVG, 'svg');
  const last = candles.at(-1);
  Object.entries({ viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': `${data.label}: last ${words(last[4])}, ${trades.length} fills shown` })
    .forEach(([key, v]) => svg.setAttribute(key, v));

  steps(low, high, Math.max(height / 62, 3)).forEach(v => {
    draw(svg, 'line', { class: 'grid', x1: 0, x2: right, y1: y(v), y2: y(v) });
    draw(svg, 'text', { x: right + 8, y: y(v) + 4 }, words(v));
  });
  const day = candles.length > 1 && candles[1][0] - candles[0][0] >= 86400000;
  const marks = width > 620 ? 6 : 3;
  for (let k = 0; k < marks; k++) {
    const i = Math.round(((candles.length - 1) * (k + 0.5)) / marks);
    const words = when(candles[i][0], day ? { day: 'numeric', month: 'short' } : { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hour12: false });
    draw(svg, 'text', { x: x(i), y: height - 6, 'text-anchor': 'middle' }, words);
  }
  const most = Math.max(...candles.map(c => c[5])) || 1;
  candles.forEach((c, i) => {
    const colour = c[4] >= c[1] ? UP : DOWN, tall = ((bottom - volumeTop) * c[5]) / most;
    if (c[5]) draw(svg, 'rect', { x: x(i) - body / 2, y: bottom - tall, width: body, height: tall, style: `fill:${colour};opacity:.22` });
    draw(svg, 'line', { x1: x(i), x2: x(i), y1: y(c[2]), y2: y(c[3]), style: `stroke:${colour};stroke-width:1` });
    const from = Math.min(y(c[1]), y(c[4]));
    draw(svg, 'rect', { x: x(i) - body / 2, y: from, width: body, height: Math.max(Math.abs(y(c[1]) - y(c[4])), 1), style: `fill:${colour}` });
  });

  // Too far away for the scale: said at the edge that it lies behind.
  const off = (price, name, nth) => {
    const said = `${price > high ? '↑' : '↓'} ${name} ${words(price)}`, long = said.length * 6.6 + 12, left = right - long - 6;
    const at = price > high ? top + 10 + 22 * nth : bottom - 12 - 22 * nth;
    draw(svg, 'rect', { x: left, y: at - 9, width: long, height: 18, rx: 3, style: `fill:${COLOURS[name] || ORDER}` });
    draw(svg, 'text', { class: 'tag', x: left + 6, y: at + 4 }, said);
  };
  const tag = (price, name) => {
    const group = draw(svg, 'g', {}), at = y(price), colour = COLOURS[name] || ORDER;
    draw(group, 'line', { x1: 0, x2: right, y1: at, y2: at, style: `stroke:${colour};stroke-width:1;stroke-dasharray:3 3` });
    draw(group, 'rect', { x: right + 2, y: at - 9, width: axis - 3, height: 18, rx: 3, style: `fill:${colour}` });
    draw(group, 'text', { class: 'tag', x: right + 8, y: at + 4 }, words(price));
    if (name !== 'last') {
      const long = name.length * 6.6 + 12;
      draw(group, 'rect', { x: right - long, y: at - 9, width: long, height: 18, rx: 3, style: `fill:${colour}` });
      draw(group, 'text', { class: 'tag', x: right - long + 6, y: at + 4 }, name);
    }
    return group;
  };
  let edges = 0;
  levels.forEach(([price, name]) => {
    if (price >= low && price <= high) tag(price, name);
    else off(price, name, edges++);
  });
  let now = tag(last[4], 'last');
  const move = price => { if (price >= low && price <= high) { now.remove(); now = tag(price, 'last'); } };

  trades.forEach(([t, side, price, text]) => {
    const i = candles.findLastIndex(c => c[0] <= t);
    if (i < 0) return;
    const buys = side === 'buy', at = y(price), s = 6, d = buys ? 1 : -1;
    const mark = draw(svg, 'path', { class: `fill ${side}`, d: `M${x(i)},${at + 2 * d} l${s},${s * 1.7 * d} h${-2 * s} z` });
    draw(mark, 'title', {}, text);
  });

  const line = draw(svg, 'line', { class: 'cross', y1: top, y2: bottom, style: 'visibility:hidden' });
  const tip = document.createElement('div');
  tip.className = 'tip';
  svg.onpointermove = event => {
    const i = Math.min(Math.max(Math.round((event.offsetX * (width / svg.clientWidth)) / gap - 0.75), 0), candles.length - 1), c = candles[i];
    line.setAttribute('x1', x(i));
    line.setAttribute('x2', x(i));
    line.style.visibility = tip.style.visibility = 'visible';
    const nearby = trades.filter(t => candles.findLastIndex(k => k[0] <= t[0]) === i).map(t => t[3]);
    const time = when(c[0], { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hour12: false });
    tip.textContent = [`${time}   O ${words(c[1])}  H ${words(c[2])}  L ${words(c[3])}  C ${words(c[4])}`, ...nearby].join('\n');
    tip.style.left = `${Math.min(Math.max(x(i), tip.clientWidth / 2), width - tip.clientWidth / 2)}px`;
  };
  svg.onpointerleave = () => { line.style.visibility = tip.style.visibility = 'hidden'; };
  box.replaceChildren(svg, tip);
  return move;
}

export default function ({ data: [data], parentElement }) {
  const box = parentElement.querySelector('.candles');
  const state = JSON.stringify(data);
  if (box.state !== state || !box.move) { box.state = state; box.move = paint(box, data); }
  const watch = new ResizeObserver(() => { if (box.clientWidth && box.clientWidth !== box.width) { box.width = box.clientWidth; box.move = paint(box, data); } });
  watch.observe(box);
  let off = () => {}, gone = false;
  if (data.live) import(new URL('/live.mjs', document.baseURI).href).then(live => {
    if (!gone) off = live.subscribe(({ c }) => { if (c[data.live]) box.move(parseFloat(c[data.live][0].replace(/,/g, ''))); });
  });
  return () => { gone = true; off(); watch.disconnect(); };
}
