// What providers say that they offer: asked by probes, kept in the ledger, compared with the catalog (row D6).
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readFileSync } from 'node:fs'
import { PRICE, priceToml } from '../lib/price.mjs'
import { until } from '../lib/processes.mjs'
import { Stub } from '../lib/stub.mjs'
import { System } from '../lib/system.mjs'

let system
let hostile
before(async () => {
  system = await System.start({
    models: ['mock-c5'], mockArgs: ['--models', 'mock-c5,mock-new'],
    config: { edge: 'shards = 2', timeouts: 'probe_interval = "500ms"' },
  })
  hostile = await Stub.start()
})
after(async () => { hostile?.stop(); await system?.stop() })

const offer = name => until(async () => {
  const said = await system.cli('provider', 'models', name)
  return said.asked_at !== '' && said
}, `the list of ${name}`, 20_000, 200)

test('the list of each format is shown, with the models here that lead to it', async () => {
  for (const name of ['openai', 'claude', 'gemini']) {
    const said = await offer(name)
    assert.equal(said.provider, name)
    assert.equal(said.complete, true)
    assert.match(said.asked_at, /^20\d\d-\d\d-\d\dT/)
    assert.deepEqual(said.models.map(({ name: model, offered, models }) => [model, offered, models]),
      [['mock-c5', true, 'mock-c5'], ['mock-new', true, '']])
  }
})

test('a route to what its provider does not list is said, in the list of channels, the metrics and the log', async () => {
  await offer('openai')
  await system.apply(`[[model]]\nname = "old"\n[[model.route]]\nchannel = "openai"\nupstream_model = "mock-c5-gone"
[[model.price]]\n${priceToml(PRICE)}`)
  const channels = await system.cli('channel', 'list')
  assert.deepEqual(channels.map(channel => [channel.name, channel.unlisted]),
    [['claude', ''], ['gemini', ''], ['openai', 'old=mock-c5-gone']])
  const { models } = await system.cli('provider', 'models', 'openai')
  assert.deepEqual(models.map(({ name, offered, models: here }) => [name, offered, here]),
    [['mock-c5', true, 'mock-c5'], ['mock-c5-gone', false, 'old'], ['mock-new', true, '']])
  const gauge = async () => /^sluice_routes_unlisted (\d+)$/m.exec(await (await fetch(`http://127.0.0.1:${system.metricsPort}/metrics`)).text())?.[1]
  await until(async () => await gauge() === '1', 'the metric', 10_000, 100)
  const log = readFileSync(system.file('reconciler.log'), 'utf8')
  assert.equal(log.match(/channel openai, model old: its provider does not list mock-c5-gone/g)?.length, 1)
  await system.apply('[[model]]\nname = "old"\nenabled = false')
  await until(async () => await gauge() === '0', 'the metric to go back', 10_000, 100)
})

test('a hostile list does no harm', async () => {
  const lists = {
    deep: '[['.repeat(10_000),
    long: `{"data":[{"id":"\\u001b[31mred"},{"id":"${'x'.repeat(10_000)}"},{"id":"good"}]}`,
  }
  let asked = 0
  hostile.play = (socket, { head }) => {
    assert.match(head, /^GET \/v1\/models HTTP/)
    const body = lists[/sk-(\w+)/.exec(head)[1]]
    asked += 1
    socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  }
  const add = name => system.apply(`[[provider]]\nname = "${name}"\ndialect = "openai"\nbase_url = "http://127.0.0.1:${hostile.port}/v1"
[[provider.key]]\nname = "main"\nsecret = "sk-${name}"\n[[channel]]\nname = "${name}"\nprovider = "${name}"`)
  await add('deep')
  await until(() => asked > 1, 'its list to be asked for')
  await add('long')
  const said = await offer('long')
  assert.deepEqual([said.complete, said.models.map(model => model.name)], [false, ['good']])
  const none = await system.cli('provider', 'models', 'deep')
  assert.deepEqual([none.asked_at, none.models], ['', []])
  await system.apply('[[model]]\nname = "deep-x"\n[[model.route]]\nchannel = "deep"\nupstream_model = "x"')
  const unasked = await system.cli('provider', 'models', 'deep')
  assert.deepEqual([unasked.asked_at, unasked.models], ['', [{ name: 'x', offered: '', since: '', models: 'deep-x' }]])
  assert.equal(system.edge.exitCode, null)
  await assert.rejects(system.cli('provider', 'models', 'nobody'), /not found/)
  await system.check()
})
