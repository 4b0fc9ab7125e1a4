// One line over time, green above where it began and red below, with the figure under the pointer.
const SVG = 'http://www.w3.org/2000/svg';

function draw(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, v]) => element.setAttribute(key, v));
  if (text) element.textContent = text;
  return element;
}

const steps = (low, high) => {
  const rough = (high - low) / 3 || 1, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(k => k * size).find(s => s >= rough);
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) found.push(v);
  return found;
};

function paint(box, data) {
  const { points, height } = data, width = Math.max(box.clientWidth, 240);
  const signed = v => (v > 0 ? '+' : v < 0 ? '−' : '') + (data.money ? '$' : '')
    + Math.abs(v).toLocaleString('en-US', { minimumFractionDigits: data.money ? 2 : 0, maximumFractionDigits: 2 });
  const brief = v => (v < 0 ? '−' : '') + (data.money ? '$' : '') + Math.abs(v).toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 1 });
  const day = t => new Date(t).toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
  const values = points.map(p => p[1]);
  let low = Math.min(0, ...values), high = Math.max(0, ...values);
  if (low === high) { low -= 1; high += 1; }
  const room = (high - low) * 0.08, left = 52, bottom = height - 22, top = 8;
  low -= room; high += room;
  const first = points[0][0], last = points.at(-1)[0] || 1;
  const x = t => left + ((width - left - 6) * (t - first)) / (last - first || 1);
  const y = v => bottom - ((bottom - top) * (v - low)) / (high - low);

  const svg = draw('svg', { viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': `${data.label}: ${signed(values.at(-1))} on ${day(last)}` });
  steps(low, high).forEach(v => {
    svg.append(draw('line', { class: 'grid', x1: left, x2: width, y1: y(v), y2: y(v) }));
    svg.append(draw('text', { x: left - 8, y: y(v) + 4, 'text-anchor': 'end' }, brief(v)));
  });
  const colour = values.at(-1) >= 0 ? 'var(--st-green-color)' : 'var(--st-red-color)';
  const line = points.map(p => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(' ');
  svg.append(draw('polygon', { points: `${x(first)},${y(0)} ${line} ${x(last)},${y(0)}`, style: `fill:${colour};opacity:.13` }));
  svg.append(draw('line', { class: 'start', x1: left, x2: width, y1: y(0), y2: y(0) }));
  svg.append(draw('polyline', { points: line, style: `fill:none;stroke:${colour};stroke-width:2;stroke-linejoin:round` }));
  const marks = Math.min(points.length, width > 520 ? 5 : 3);
  for (let i = 0; i < marks; i++) {
    const t = first + ((last - first) * i) / (marks - 1 || 1);
    svg.append(draw('text', { x: x(t), y: height - 5, 'text-anchor': i === 0 ? 'start' : i === marks - 1 ? 'end' : 'middle' }, day(t)));
  }
  const dot = draw('circle', { r: 4, style: `fill:${colour};visibility:hidden` });
  svg.append(dot);
  const tip = document.createElement('div');
  tip.className = 'tip';
  svg.onpointermove = event => {
    const at = event.offsetX * (width / svg.clientWidth);
    const near = points.reduce((a, b) => (Math.abs(x(b[0]) - at) < Math.abs(x(a[0]) - at) ? b : a));
    dot.setAttribute('cx', x(near[0]));
    dot.setAttribute('cy', y(near[1]));
    dot.style.visibility = tip.style.visibility = 'visible';
    tip.textContent = `${day(near[0])}  ${signed(near[1])}`;
    tip.style.left = `${Math.min(Math.max(x(near[0]), 90), width - 80)}px`;
  };
  svg.onpointerleave = () => { dot.style.visibility = tip.style.visibility = 'hidden'; };
  box.replaceChildren(svg, tip);
}

export default function ({ data, parentElement }) {
  const box = parentElement.querySelector('.curve');
  const state = JSON.stringify(data);
  if (box.state !== state) { box.state = state; paint(box, data); }
  const watch = new ResizeObserver(() => { if (box.clientWidth && box.clientWidth !== box.width) { box.width = box.clientWidth; paint(box, data); } });
  watch.observe(box);
  return () => watch.disconnect();
}
