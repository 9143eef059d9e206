// Calls an agent with jayson. Usage: node client.js HOST PORT
const assert = require('node:assert');
const { promisify } = require('node:util');
const jayson = require('jayson');

const [host, port] = process.argv.slice(2);
const client = jayson.Client.http({ host, port: Number(port), path: '/rpc' });
const send = promisify(client.request.bind(client));

async function main() {
  const info = (await send('info', {})).result;
  assert(['agent', 'cpu', 'mem'].every((field) => field in info), info);

  const work = (await send('work', { text: 'from JavaScript' })).result;
  assert.equal(work.result, 'Processed: from JavaScript');

  const delegate = (await send('delegate', { text: 'passed on' })).result;
  assert.equal(delegate.peer_result.result, 'Processed: passed on');
  assert.notEqual(delegate.delegated_to.agent, info.agent);

  const batch = [client.request('info', {}, 'a'), client.request('work', { text: 'b' }, 'b')];
  const answers = new Map((await send(batch)).map((answer) => [answer.id, answer]));
  assert.deepEqual([...answers.keys()].sort(), ['a', 'b']);
  assert.equal(answers.get('b').result.result, 'Processed: b');

  // An id of null makes it a notification for jayson.
  assert.equal(await send('work', { text: 'unheard' }, null), undefined);

  const error = (await send('work', { text: 7 })).error;
  assert.equal(error.code, -32602);
  console.log('ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
