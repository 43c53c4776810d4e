// The stand-in by itself: the official SDKs take it for the provider. Without this the other tests prove little.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { bodyOf, Mock } from '../lib/mock.mjs'
import { monotonic, sleep, until } from '../lib/processes.mjs'
import { chat, exchange, open, post } from '../lib/raw.mjs'
import { sdks } from '../lib/sdks.mjs'

let mock
let url
before(async () => {
  mock = await Mock.start({ args: ['--models', 'mock-a,mock-b', '--model', 'plain=c3-g1'] })
  url = `http://127.0.0.1:${mock.port}`
})
after(() => mock?.stop())

for (const sdk of sdks) {
  describe(sdk.name, () => {
    const client = () => sdk.connect(url, 'sk-seen')
    test('streams, answers, calls tools, lists models', async () => {
      await mock.mark()
      let text = ''
      for await (const part of client().stream('mock-c7-g1')) text += part
      assert.equal(text, ' word'.repeat(7))
      assert.equal((await client().whole('plain')).text, ' word'.repeat(3))
      assert.deepEqual(await client().tool('mock-c2-tool'), { name: 'lookup', arguments: { city: 'Paris' } })
      assert.deepEqual(await client().models(), ['mock-a', 'mock-b'])
      const [streamed, , tool] = await mock.records(4)
      assert.equal(streamed.chunks_sent, 7)
      assert.equal(streamed.usage.output, 7)
      assert.match(streamed.credential, / sk-seen$/)
      assert.equal(tool.usage.output, 2 + 10)
      assert.ok(bodyOf(tool).includes('"lookup"'))
    })
    test('errors are of the right class', async () => {
      await assert.rejects(client().whole('mock-e401'), sdk.errors.wrongKey)
      await assert.rejects(client().whole('mock-e404'), sdk.errors.unknownModel)
      await assert.rejects(client().whole('mock-e429'), sdk.errors.rate)
      await assert.rejects(client().whole('mock-e500'), sdk.errors.server)
      await assert.rejects(client().whole('mock-e400'), sdk.errors.bad)
    })
    test('a stream that breaks or carries an error throws', async () => {
      for (const model of ['mock-c9-cut4', 'mock-c9-rst4', 'mock-c9-err4']) {
        await assert.rejects(async () => { for await (const _ of client().stream(model)); }, undefined, model)
      }
    })
  })
}

test('held answers wait for release, or for their number', async () => {
  const ask = model => exchange(mock.port, post('/v1/chat/completions', chat(model)))
  const held = [ask('mock-hold'), ask('mock-hold')]
  await until(async () => (await mock.recorder('?limit=0')).held === 2, 'two held')
  await mock.release(1)
  assert.equal((await Promise.race(held)).status, 200)
  await mock.release()
  await Promise.all(held)
  const three = await Promise.all([ask('mock-hold3'), ask('mock-hold3'), ask('mock-hold3')])
  assert.deepEqual(three.map(answer => answer.status), [200, 200, 200])
})

test('a client that goes away is noticed at once, in each phase', async () => {
  for (const model of ['mock-stall0', 'mock-hold', 'mock-l5000', 'mock-c100-g20', 'mock-c9-stall3']) {
    for (const leave of ['end', 'resetAndDestroy']) {
      await mock.mark()
      const socket = await open(mock.port)
      socket.write(post('/v1/chat/completions', chat(model, { stream: true })))
      await sleep(60)
      const left = monotonic()
      socket[leave]()
      const [record] = await mock.records(1)
      socket.destroy()
      assert.equal(record.end, 'aborted')
      assert.ok(record.gone_ns >= left - 1e6 && record.gone_ns - left < 20e6, `${model}: ${(record.gone_ns - left) / 1e6} ms`)
    }
  }
})

test('a request that is cut is recorded as such', async () => {
  await mock.mark()
  const socket = await open(mock.port)
  socket.write(post('/v1/chat/completions', chat('mock')).slice(0, -3))
  await sleep(20)
  socket.end()
  assert.equal((await mock.records(1))[0].end, 'request_cut')
})

test('a thousand streams at once all end whole', async () => {
  await mock.mark()
  const answers = await Promise.all(Array.from({ length: 1000 }, () =>
    exchange(mock.port, post('/v1/chat/completions', chat('mock-c10-g10', { stream: true })), { ms: 20_000 })))
  assert.ok(answers.every(answer => answer.text.endsWith('data: [DONE]\n\n\r\n0\r\n\r\n')))
  assert.ok((await mock.records(1000)).every(record => record.end === 'complete' && record.chunks_sent === 10))
})
