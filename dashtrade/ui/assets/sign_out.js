// The form does it all; it needs the look of the sidebar.
export default function ({ parentElement }) {
  const button = parentElement.querySelector('button');
  button.className = 'act';
  button.style.margin = '0';
}
