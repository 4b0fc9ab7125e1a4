// Lines over time. The first is filled and coloured by how it went; others are dashed beside it. The figure under the pointer is told.
const SVG = 'http://www.w3.org/2000/svg';

function draw(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  Object.entries(attributes).forEach(([key, v]) => element.setAttribute(key, v));
  if (text) element.textContent = text;
  return element;
}

function make(name, className, text) {
  const element = document.createElement(name);
  element.className = className;
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

const day = t => new Date(t).toLocaleDateString(undefined, { day: 'numeric', month: 'short' });

function paint(box, data) {
  const { series, height, zero, around: [before, behind] } = data, width = Math.max(box.clientWidth, 240);
  const all = series.flatMap(s => s.points.map(p => p[1])), main = series[0].points;
  let low = Math.min(...all), high = Math.max(...all);
  if (zero) { low = Math.min(0, low); high = Math.max(0, high); }
  if (low === high) { low -= 1; high += 1; }
  const narrow = high - low < Math.abs(high) * 0.05;
  const sign = v => (v < 0 ? '−' : zero && v > 0 ? '+' : '') + before;
  const full = v => sign(v) + Math.abs(v).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 }) + behind;
  const brief = v => (v < 0 ? '−' : '') + before + amount(v, narrow) + (behind === '%' ? behind : '');  // the axis has no room for more
  const room = (high - low) * 0.08, left = 58, bottom = height - 22, top = 8;
  low -= room; high += zero && high === 0 ? 0 : room;
  const first = main[0][0], last = main.at(-1)[0] || 1;
  const x = t => left + ((width - left - 6) * (t - first)) / (last - first || 1);
  const y = v => bottom - ((bottom - top) * (v - low)) / (high - low);
  const start = zero ? 0 : main[0][1], end = main.at(-1)[1];
  const colour = data.colour ? `var(--st-${data.colour}-color)` : end >= start ? 'var(--st-green-color)' : 'var(--st-red-color)';

  const svg = draw('svg', { viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': `${data.label}: ${full(end)} on ${day(last)}` });
  steps(low, high).forEach(v => {
    svg.append(draw('line', { class: 'grid', x1: left, x2: width, y1: y(v), y2: y(v) }));
    svg.append(draw('text', { x: left - 8, y: y(v) + 4, 'text-anchor': 'end' }, brief(v)));
  });
  const text = points => points.map(p => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(' ');
  svg.append(draw('polygon', { points: `${x(first)},${zero ? y(0) : bottom} ${text(main)} ${x(last)},${zero ? y(0) : bottom}`, style: `fill:${colour};opacity:.13` }));
  svg.append(draw('line', { class: 'start', x1: left, x2: width, y1: y(start), y2: y(start) }));
  series.slice(1).forEach(s => svg.append(draw('polyline', { class: 'other', points: text(s.points) })));
  svg.append(draw('polyline', { points: text(main), style: `fill:none;stroke:${colour};stroke-width:2;stroke-linejoin:round` }));
  const marks = Math.min(main.length, width > 520 ? 5 : 3);
  for (let i = 0; i < marks; i++) {
    const t = first + ((last - first) * i) / (marks - 1 || 1);
    svg.append(draw('text', { x: x(t), y: height - 5, 'text-anchor': i === 0 ? 'start' : i === marks - 1 ? 'end' : 'middle' }, day(t)));
  }
  const dot = draw('circle', { r: 4, style: `fill:${colour};visibility:hidden` });
  svg.append(dot);
  const tip = make('div', 'tip'), parts = [svg, tip];
  svg.onpointermove = event => {
    const at = event.offsetX * (width / svg.clientWidth);
    const nearest = points => points.reduce((a, b) => (Math.abs(x(b[0]) - at) < Math.abs(x(a[0]) - at) ? b : a));
    const near = nearest(main);
    dot.setAttribute('cx', x(near[0]));
    dot.setAttribute('cy', y(near[1]));
    dot.style.visibility = tip.style.visibility = 'visible';
    tip.textContent = [`${day(near[0])}  ${full(near[1])}`, ...series.slice(1).filter(s => s.points.length).map(s => `${s.name} ${full(nearest(s.points)[1])}`)].join('  ·  ');
    tip.style.left = `${Math.min(Math.max(x(near[0]), tip.clientWidth / 2), width - tip.clientWidth / 2)}px`;
  };
  svg.onpointerleave = () => { dot.style.visibility = tip.style.visibility = 'hidden'; };
  if (series.length > 1) {
    const legend = make('div', 'legend');
    series.forEach((s, i) => {
      const entry = make('span', '', s.name), line = make('i', i ? 'other' : '');
      if (!i) line.style.background = colour;
      entry.prepend(line);
      legend.append(entry);
    });
    parts.unshift(legend);
  }
  box.replaceChildren(...parts);
}

function amount(v, narrow) {
  return Math.abs(v).toLocaleString('en-US', narrow ? { maximumFractionDigits: 2 } : { notation: 'compact', maximumFractionDigits: 1 });
}

export default function ({ data: [data], parentElement }) {
  const box = parentElement.querySelector('.curve');
  const state = JSON.stringify(data);
  if (box.state !== state) { box.state = state; paint(box, data); }
  const watch = new ResizeObserver(() => { if (box.clientWidth && box.clientWidth !== box.width) { box.width = box.clientWidth; paint(box, data); } });
  watch.observe(box);
  return () => watch.disconnect();
}
