// A real table. Cells are written as text; a cell whose text has changed may glow for a moment.
const SVG = 'http://www.w3.org/2000/svg';

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function spark(numbers) {
  const svg = document.createElementNS(SVG, 'svg');
  const low = Math.min(...numbers), span = Math.max(...numbers) - low || 1;
  const line = document.createElementNS(SVG, 'polyline');
  line.setAttribute('points', numbers.map((v, i) => `${(i * 88) / (numbers.length - 1)},${21 - (18 * (v - low)) / span}`).join(' '));
  const colour = numbers.at(-1) >= numbers[0] ? 'var(--st-green-color)' : 'var(--st-red-color)';
  line.setAttribute('style', `fill:none;stroke:${colour};stroke-width:1.6`);
  svg.setAttribute('viewBox', '0 0 88 24');
  svg.setAttribute('width', '88');
  svg.setAttribute('height', '24');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(line);
  return svg;
}

const value = text => parseFloat(text.replace(/−/g, '-').replace(/[^0-9.-]/g, ''));

function meter(cell) {
  const bar = make('div', 'meter');
  bar.setAttribute('role', 'meter');
  bar.setAttribute('aria-label', cell.text);
  bar.setAttribute('aria-valuenow', cell.meter);
  bar.setAttribute('aria-valuemin', '0');
  bar.setAttribute('aria-valuemax', '100');
  const filled = make('i', cell.meter >= 75 ? 'down' : cell.meter >= 50 ? 'warn' : 'up');
  filled.style.width = `${Math.min(cell.meter, 100)}%`;
  bar.append(filled);
  return bar;
}

function opener(text) {
  const button = make('button', 'open'), words = make('span', 'clamp', text);
  words.title = text; // a long name ends after two lines
  button.append(words);
  return button;
}

function fill(element, cell, opens) {
  if (cell.spark.length > 1) element.append(spark(cell.spark));
  else if (opens) element.append(opener(cell.text));
  else if (cell.badge) element.append(make('span', `badge ${cell.tone}`, cell.text));
  else element.append(make(cell.tone && cell.tone !== 'mute' ? 'b' : 'span', cell.tone, cell.text));
  if (cell.meter !== null) element.append(meter(cell));
  if (cell.sub || cell.live) element.append(make('small', '', cell.sub));
  if (cell.live) element.dataset.live = cell.live;
}

// A pushed cell: its words change in place, nothing is drawn anew.
function put(element, [text, tone, sub]) {
  const main = element.firstChild, small = element.querySelector('small');
  const before = main.textContent;
  if (before !== text) {
    main.textContent = text;
    if (element.dataset.flash) {
      element.classList.remove('rise', 'fall');
      void element.offsetWidth;
      element.classList.add(value(text) >= value(before) ? 'rise' : 'fall');
    }
  }
  if (tone !== undefined && !element.dataset.flash) main.className = tone;
  if (small && small.textContent !== sub) small.textContent = sub;
}

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const table = parentElement.querySelector('table');
  const before = table.seen || {}, seen = (table.seen = {});
  table.caption.textContent = data.caption;
  table.className = data.stacked ? 'stacked' : '';
  const had = table.getRootNode().activeElement?.dataset?.at;
  const head = make('tr');
  data.columns.forEach(column => {
    const th = make('th', `${column.number ? 'n ' : ''}${column.wide_only ? 'wide' : ''}`, column.sort ? '' : column.label);
    th.scope = 'col';
    if (column.sort) {
      const [by, rising] = data.sorted, now = by === column.sort;
      const button = make('button', 'sort', `${column.label}${now ? (rising ? ' ↑' : ' ↓') : ''}`);
      button.dataset.at = `${column.sort}|sort`;
      button.onclick = () => setTriggerValue('act', { id: column.sort, what: 'sort' });
      if (now) th.setAttribute('aria-sort', rising ? 'ascending' : 'descending');
      th.append(button);
    }
    head.append(th);
  });
  const acts = data.rows.some(row => row.actions.length);
  if (acts) head.append(make('td'));  // a header without words would be read out as one
  table.tHead.replaceChildren(head);

  table.tBodies[0].replaceChildren(...data.rows.map(row => {
    const tr = make('tr', `${data.opens && row.opens ? 'opens' : ''} ${row.kind}`.trim());
    row.cells.forEach((cell, i) => {
      const column = data.columns[i];
      const td = make(i ? 'td' : 'th', `${column.number ? 'n ' : ''}${column.wide_only ? 'wide' : ''}`);
      if (!i) td.scope = 'row';
      else if (data.stacked) td.dataset.label = column.label;
      fill(td, cell, data.opens && row.opens && !i);
      if (cell.hint) td.title = cell.hint;
      if (cell.live && cell.flash) td.dataset.flash = '1';
      const name = `${row.id}|${i}`;
      seen[name] = cell.text;
      if (cell.flash && before[name] !== undefined && before[name] !== cell.text)
        td.classList.add(value(cell.text) >= value(before[name]) ? 'rise' : 'fall');
      tr.append(td);
    });
    const say = what => setTriggerValue('act', { id: row.id, what });
    if (data.opens && row.opens) {
      tr.onclick = event => { if (!event.target.closest('.act')) say('open'); };
      tr.querySelector('.open').dataset.at = `${row.id}|open`;
    }
    if (acts) {
      const td = make('td', 'acts');
      row.actions.forEach(([what, words]) => {
        const button = make('button', `act ${/close|remove|end|revoke|delete/i.test(what) ? 'danger' : ''}`, words);
        button.dataset.at = `${row.id}|${what}`;
        button.setAttribute('aria-label', `${words} ${row.cells[0].text}`);
        button.onclick = () => say(what);
        td.append(button);
      });
      tr.append(td);
    }
    return tr;
  }));
  if (had) [...table.querySelectorAll('[data-at]')].find(e => e.dataset.at === had)?.focus();
  if (!data.rows.some(row => row.cells.some(cell => cell.live))) return;

  let off = () => {}, gone = false;
  import(new URL('/live.mjs', document.baseURI).href).then(live => {
    if (gone) return;
    off = live.subscribe(({ c }) => table.querySelectorAll('[data-live]').forEach(td => { if (c[td.dataset.live]) put(td, c[td.dataset.live]); }));
  });
  return () => { gone = true; off(); };
}
