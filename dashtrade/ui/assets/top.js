// The page goes to its top when the number grows: another page of a list begins there.
export default function ({ data: [data], parentElement }) {
  const mark = parentElement.querySelector('i');
  if (data.turned && mark.turned !== data.turned) {
    const page = document.querySelector('[data-testid=stMain]');
    if (page) page.scrollTo({ top: 0 });
  }
  mark.turned = data.turned;
}
