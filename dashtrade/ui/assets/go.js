// To another page with everything anew: whose pages these are has just changed.
export default function ({ data: [data] }) {
  window.location.assign(data.to);
}
