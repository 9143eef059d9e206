// Drives the player of a playback as a reader would, and tells what its pictures show.
(async () => {
  const pause = ms => new Promise(done => setTimeout(done, ms));
  const windows = () => [...document.querySelectorAll('iframe')].map(frame => frame.contentWindow);
  const ready = () => windows().length === 2 && windows().every(frame => frame.playback);
  while (!ready()) await pause(20);
  await pause(200);
  // Two frames later, every picture shows what it was told to.
  const drawn = () => Promise.all(windows().map(frame => new Promise(done =>
    frame.requestAnimationFrame(() => frame.requestAnimationFrame(done)))));
  const goTo = async ms => {
    const slider = document.getElementById('slider');
    slider.value = ms;
    slider.dispatchEvent(new Event('input'));
    await drawn();
  };
  const picture = frame => {
    const all = selector => [...frame.document.querySelectorAll(selector)];
    const one = id => frame.document.getElementById(id);
    return {
      status: one('status').textContent,
      under_way: Number(one('requests').dataset.underWay),
      ended: Number(one('requests').dataset.ended),
      gone: all('.agent.gone').map(card => card.dataset.agent),
      bands: JSON.parse(one('graph').dataset.bands),
      edges: all('#matrix td[title*=" jobs, "]').map(cell => cell.title),
    };
  };
  const pictures = () => windows().map(picture);
  const told = { pictures: {}, faults: {} };
  // Back and forth: the same time shows the same.
  for (const ms of [2500, 7500, 11000, 2500]) {
    await goTo(ms);
    const name = told.pictures[ms] ? `${ms} again` : ms;
    told.pictures[name] = pictures();
    told.faults[name] = document.querySelectorAll('#faults .active').length;
  }
  await goTo(7500);
  const request = [...windows()[0].document.querySelectorAll('#requests tbody tr')]
    .find(row => row.textContent.includes('answered'));
  request.click();
  await drawn();
  told.request = Number(request.cells[0].textContent);
  told.way = [...windows()[0].document.querySelectorAll('#way li')].map(step => step.textContent);
  // It plays on by itself.
  document.getElementById('play').click();
  await pause(500);
  document.getElementById('play').click();
  told.played = document.getElementById('now').textContent;
  told.width = [document.documentElement.scrollWidth, innerWidth];
  return told;
})()
